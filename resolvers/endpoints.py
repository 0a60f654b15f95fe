"""The addresses that senders post to: what operators do with them, and who may come in."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain import expected, texts
from domain.actors import Permission
from domain.audit import Action, Subject, SubjectType
from domain.endpoints import Endpoint, Scheme, Sender
from domain.errors import BadInput, Forbidden, NotFound, Unauthenticated, about
from domain.ids import EndpointId
from domain.images import Pattern
from registries import oidc, webhooks
from resolvers import keys
from resolvers.context import Context
from resolvers.registries import checked_host
from storage import endpoints
from storage.connection import Connection

_MOST_REPOSITORIES = 100
_LONGEST_OVERLAP = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator wants an endpoint to be."""

    name: str
    sender: Sender
    scheme: Scheme | None = None
    """None for the best that the sender can do."""
    default_host: str | None = None
    repositories: Sequence[str] = ()
    audience: str | None = None
    service_account: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a webhook brought to show who sent it."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """As it arrived."""
    in_path: str | None
    """What stood at the end of the address."""


async def create(ctx: Context, wanted: Wanted, *, idempotency_key: str | None = None) -> tuple[Endpoint, str | None]:
    """A new endpoint, and its secret, which is told this once; there is none where Google signs. Raises BadInput.

    Asked again under the same idempotency key it is that endpoint, as it is by then, perhaps deleted, and without the secret: who has not
    heard that rotates it.
    """
    async with ctx.changing(Action.CREATE_WEBHOOK_ENDPOINT) as change:
        scheme = _scheme(wanted)
        checked = _checked(wanted, scheme, change.now)
        if made := await change.made_before(idempotency_key, wanted):
            return await endpoints.ever(change.conn, EndpointId(made)), None
        secret = None if scheme is Scheme.OIDC else keys.new("webhook")
        sealed = None if secret is None else ctx.vault.seal(secret)
        endpoint = await endpoints.insert(change.conn, checked, sealed)
        change.of(_subject(endpoint.id), name=endpoint.name, sender=endpoint.sender, scheme=scheme, repositories=endpoint.repositories)
    return endpoint, secret


async def rotate(
    ctx: Context, endpoint: EndpointId, keep_old_minutes: float, *, expected_version: int | None = None
) -> tuple[Endpoint, str]:
    """Another secret, which is told this once; the old one counts for so long. Raises BadInput where there is none."""
    async with ctx.changing(Action.ROTATE_WEBHOOK_SECRET) as change:
        if not 0 <= keep_old_minutes <= _LONGEST_OVERLAP:
            raise BadInput(f"keepOldMinutes: 0 to {_LONGEST_OVERLAP}, a week")
        if (await _locked(change.conn, endpoint, expected_version)).scheme is Scheme.OIDC:
            raise BadInput(f"endpoint {endpoint} has no secret: its webhooks carry tokens that Google signs")
        secret, old_until = keys.new("webhook"), change.now + timedelta(minutes=keep_old_minutes)
        rotated = await endpoints.rotate(change.conn, endpoint, ctx.vault.seal(secret), old_until, change.now)
        change.of(_subject(endpoint), keep_old_minutes=keep_old_minutes)
    return rotated, secret


async def set_enabled(ctx: Context, endpoint: EndpointId, enabled: bool, *, expected_version: int | None = None) -> Endpoint:
    """Let an endpoint be heard, or not; one that is already stays as it is."""
    async with ctx.changing(Action.ENABLE_WEBHOOK_ENDPOINT if enabled else Action.DISABLE_WEBHOOK_ENDPOINT) as change:
        before = await _locked(change.conn, endpoint, expected_version)
        after = await endpoints.set_enabled(change.conn, endpoint, enabled)
        if after.version != before.version:
            change.of(_subject(endpoint))
    return after


async def delete(ctx: Context, endpoint: EndpointId, *, expected_version: int | None = None) -> Endpoint:
    """Take an endpoint away; what it told stays in the history."""
    async with ctx.changing(Action.DELETE_WEBHOOK_ENDPOINT) as change:
        await _locked(change.conn, endpoint, expected_version)
        deleted = await endpoints.delete(change.conn, endpoint, change.now)
        change.of(_subject(endpoint), name=deleted.name)
    return deleted


async def one(ctx: Context, endpoint: EndpointId) -> Endpoint | None:
    """One endpoint, unless it was deleted."""
    return (await many(ctx, [endpoint])).get(endpoint)


async def page(ctx: Context, after: EndpointId, limit: int) -> list[Endpoint]:
    """Endpoints in the order they were made."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await endpoints.page(conn, after, limit)


async def count(ctx: Context) -> int:
    """How many there are."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await endpoints.count(conn)


async def let_in(ctx: Context, sender: str, endpoint: EndpointId, proof: Proof) -> Endpoint:
    """The endpoint a webhook is for, if it comes from its sender; raises NotFound, Unauthenticated, and Forbidden while it is disabled."""
    async with ctx.db.reading() as conn:
        found, now = await endpoints.with_secrets(conn, endpoint), await ctx.db.now(conn)
    if found is None or found[0].sender != sender:
        raise NotFound(f"there is no endpoint {endpoint} of {sender[:32]!r}")
    known, sealed = found
    if known.scheme is Scheme.OIDC:
        is_right = await _is_from_google(ctx, known, proof, now)
    else:
        counts = [sealed.secret, sealed.old if sealed.old_until and now < sealed.old_until else None]
        is_right = any(_knows(known, ctx.vault.open(secret), proof) for secret in counts if secret is not None)
    if not is_right:
        raise Unauthenticated(_WANTED[known.scheme])
    if not known.enabled:
        raise Forbidden(f"endpoint {endpoint} is disabled")
    return known


_WANTED = {
    Scheme.SIGNATURE: "the signature of the body is missing or wrong: sign its raw bytes with the endpoint's secret",
    Scheme.HEADER: "the header with the endpoint's secret is missing or wrong",
    Scheme.PATH: "the secret at the end of the address is missing or wrong",
    Scheme.OIDC: "the token in the Authorization header is missing, or none that Google signed for the audience and service account",
}


def _knows(endpoint: Endpoint, secret: str, proof: Proof) -> bool:
    if endpoint.scheme is Scheme.PATH:
        return hmac.compare_digest(secret.encode(), (proof.in_path or "").encode("utf-8", "surrogatepass"))
    return webhooks.is_authentic(endpoint.sender, endpoint.scheme, secret, proof.headers, proof.body)


async def _is_from_google(ctx: Context, endpoint: Endpoint, proof: Proof, now: datetime) -> bool:
    scheme, _, token = proof.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or ctx.google is None:
        return False
    assert endpoint.audience is not None, "checked when it was made"
    assert endpoint.service_account is not None, "checked when it was made"
    return await oidc.is_authentic(token.strip(), ctx.google, audience=endpoint.audience, service_account=endpoint.service_account, now=now)


def _scheme(wanted: Wanted) -> Scheme:
    possible = webhooks.schemes(wanted.sender)
    if wanted.scheme is None:
        return possible[0]
    if wanted.scheme not in possible:
        raise BadInput(f"scheme: {wanted.sender} can prove itself by {', '.join(possible)}, not by {wanted.scheme}")
    return wanted.scheme


def _checked(wanted: Wanted, scheme: Scheme, now: datetime) -> Endpoint:
    if wanted.default_host is None and wanted.sender in webhooks.NAMES_NO_REGISTRY:
        raise BadInput(f"defaultHost: {wanted.sender} never says which registry it is; give the host that its images are pulled from")
    if len(wanted.repositories) > _MOST_REPOSITORIES:
        raise BadInput(f"repositories: at most {_MOST_REPOSITORIES}")
    if any((scheme is Scheme.OIDC) != (given is not None) for given in (wanted.audience, wanted.service_account)):
        raise BadInput("audience, serviceAccount: give both where Google signs, and neither elsewhere")
    with about("defaultHost"):
        default_host = None if wanted.default_host is None else checked_host(wanted.default_host)
    with about("repositories"):
        repositories = tuple(Pattern.parse(text).text for text in wanted.repositories)
    return Endpoint(
        id=EndpointId(0),
        name=texts.line("name", wanted.name),
        sender=wanted.sender,
        scheme=scheme,
        default_host=default_host,
        repositories=repositories,
        audience=None if wanted.audience is None else texts.line("audience", wanted.audience),
        service_account=None if wanted.service_account is None else texts.line("serviceAccount", wanted.service_account),
        enabled=True,
        created_at=now,
        rotated_at=now,
    )


async def _locked(conn: Connection, endpoint: EndpointId, expected_version: int | None) -> Endpoint:
    found = await endpoints.locked(conn, endpoint)
    if found is None:
        raise NotFound.of("endpoint", endpoint)
    expected.check(f"endpoint {endpoint}", found.version, expected_version)
    return found


def _subject(endpoint: EndpointId) -> Subject:
    return Subject.of(SubjectType.WEBHOOK_ENDPOINT, endpoint)


async def many(ctx: Context, ids: Sequence[EndpointId]) -> dict[EndpointId, Endpoint]:
    """Those of these endpoints that there are; deleted ones are absent."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await endpoints.many(conn, ids)
