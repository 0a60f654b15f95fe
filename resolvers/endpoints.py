"""The addresses that senders post to: what operators do with them, and who may come in."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.actors import Permission
from domain.endpoints import Endpoint, Scheme, Sender
from domain.errors import BadInput, Forbidden, NotFound, Unauthenticated
from domain.ids import EndpointId
from domain.images import Pattern
from registries import oidc, webhooks
from resolvers import keys
from resolvers.context import Context
from resolvers.registries import checked_host
from storage import endpoints
from storage.connection import Connection

_MOST_REPOSITORIES = 100
_LONGEST_TEXT = 255
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


async def create(ctx: Context, wanted: Wanted) -> tuple[Endpoint, str | None]:
    """A new endpoint, and its secret, which is told this once; there is none where Google signs. Raises BadInput."""
    ctx.actor.must(Permission.OPERATE)
    scheme = _scheme(wanted)
    secret = None if scheme is Scheme.OIDC else keys.new("webhook")
    sealed = None if secret is None else ctx.vault.seal(secret)
    async with ctx.db.transaction() as conn:
        made = await endpoints.insert(conn, _checked(wanted, scheme, await ctx.db.now(conn)), sealed)
    return made, secret


async def rotate(ctx: Context, endpoint: EndpointId, keep_old_minutes: float) -> tuple[Endpoint, str]:
    """Another secret, which is told this once; the old one counts for so long. Raises BadInput where there is none."""
    ctx.actor.must(Permission.OPERATE)
    if not 0 <= keep_old_minutes <= _LONGEST_OVERLAP:
        raise BadInput(f"keepOldMinutes: 0 to {_LONGEST_OVERLAP}, a week")
    secret = keys.new("webhook")
    async with ctx.db.transaction() as conn:
        if (await _locked(conn, endpoint)).scheme is Scheme.OIDC:
            raise BadInput(f"endpoint {endpoint} has no secret: its webhooks carry tokens that Google signs")
        now = await ctx.db.now(conn)
        return await endpoints.rotate(conn, endpoint, ctx.vault.seal(secret), now + timedelta(minutes=keep_old_minutes), now), secret


async def set_enabled(ctx: Context, endpoint: EndpointId, enabled: bool) -> Endpoint:
    """Let an endpoint be heard, or not."""
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        await _locked(conn, endpoint)
        return await endpoints.set_enabled(conn, endpoint, enabled)


async def delete(ctx: Context, endpoint: EndpointId) -> Endpoint:
    """Take an endpoint away; what it told stays in the history."""
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        found = await _locked(conn, endpoint)
        await endpoints.delete(conn, endpoint, await ctx.db.now(conn))
    return found


async def one(ctx: Context, endpoint: EndpointId) -> Endpoint | None:
    """One endpoint, unless it was deleted."""
    return (await many(ctx, [endpoint])).get(endpoint)


async def page(ctx: Context, after: EndpointId, limit: int) -> list[Endpoint]:
    """Endpoints in the order they were made."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await endpoints.page(conn, after, limit)


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
    return Endpoint(
        id=EndpointId(0),
        name=_text("name", wanted.name),
        sender=wanted.sender,
        scheme=scheme,
        default_host=None if wanted.default_host is None else checked_host(wanted.default_host),
        repositories=tuple(Pattern.parse(text).text for text in wanted.repositories),
        audience=None if wanted.audience is None else _text("audience", wanted.audience),
        service_account=None if wanted.service_account is None else _text("serviceAccount", wanted.service_account),
        enabled=True,
        created_at=now,
        rotated_at=now,
    )


def _text(field: str, text: str) -> str:
    text = text.strip()
    if not (0 < len(text) <= _LONGEST_TEXT and text.isprintable()):
        raise BadInput(f"{field}: 1 to {_LONGEST_TEXT} characters that can be shown")
    return text


async def _locked(conn: Connection, endpoint: EndpointId) -> Endpoint:
    found = await endpoints.locked(conn, endpoint)
    if found is None:
        raise NotFound(f"there is no endpoint {endpoint}")
    return found


async def many(ctx: Context, ids: Sequence[EndpointId]) -> dict[EndpointId, Endpoint]:
    """Those of these endpoints that there are; deleted ones are absent."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await endpoints.many(conn, ids)
