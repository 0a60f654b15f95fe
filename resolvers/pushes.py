"""What becomes of an image that was pushed: its registry is asked where that is needed, then it is decided, policy by policy."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from domain import gates, platforms
from domain import policies as rules
from domain.actors import Permission
from domain.events import EventType
from domain.gates import Found, Moment, Unknown
from domain.ids import DeliveryId, PushId, RolloutId
from domain.images import Image, Pattern
from domain.policies import Scope
from domain.provenance import Evidence, ProvenanceSettings
from domain.pushes import Decision, Hold, Push, PushFilter
from domain.registries import Unanswered
from domain.settings import PolicySettings, Unresolved
from domain.tags import goes_before, has_place
from domain.trails import TrailType
from registries.oci import provenance
from resolvers import catalogue, images, registries
from resolvers.context import Context
from storage import devices, events, policies, pushes
from storage.connection import Connection

_ALL = PushFilter()


async def consider(ctx: Context, push: Push) -> None:
    """Decide what follows from a push, as far as that can be decided now. Nobody is asked inside a transaction."""
    async with ctx.db.reading() as conn:
        wanted = await _wanted_by(ctx, conn, push.image)
    found = await find_out(ctx, push, wanted)
    async with ctx.db.transaction() as conn:
        await images.alone(conn, [push.image])
        if await pushes.locked(conn, push):
            await _decide(ctx, conn, push, found)
        else:
            await pushes.release(conn, push)


async def find_out(ctx: Context, push: Push, wanted: Sequence[PolicySettings]) -> Found:
    """What these policies want to know of an image; nobody is asked when none of them would take it."""
    if not wanted:
        return Found(push.known_as)
    found = await _pinned(ctx, push)
    if found.image.digest is None:
        return found
    if any(settings.registry.check_platforms for settings in wanted):
        found = replace(found, platforms=await _platforms(ctx, found.image))
    proofs = {settings.provenance for settings in wanted if settings.provenance is not None}
    return replace(found, evidence={proof: await _evidence(ctx, found.image, proof) for proof in proofs})


async def _wanted_by(ctx: Context, conn: Connection, image: Image) -> list[PolicySettings]:
    """The settings of the policies that may take an image of this tag."""
    scopes, now = rules.scopes(await policies.enabled(conn), image), await ctx.db.now(conn)
    return [
        scope.policy.settings
        for scope in scopes
        if images.unwanted(scope.policy, image, await images.base_images(conn, scope, image), now) is None
    ]


async def _pinned(ctx: Context, push: Push) -> Found:
    """The image with its digest, which is asked for when nobody told it: not a moment before the push was heard of."""
    image = push.known_as
    if image.digest is not None:
        return Found(image)
    try:
        digest = await registries.ask(ctx, image.repository, lambda client, registry: client.digest(registry, image))
    except Unanswered as why:
        return Found(image, digest=_unknown(why))
    if digest is None:
        return Found(image, digest=Unknown(f"{image.repository.partition('/')[0]} has no {image}", is_missing=True))
    return Found(replace(image, digest=digest))


async def _platforms(ctx: Context, image: Image) -> frozenset[str] | Unknown:
    try:
        return await registries.ask(ctx, image.repository, lambda client, registry: client.platforms(registry, image))
    except Unanswered as why:
        return _unknown(why)


async def _evidence(ctx: Context, image: Image, proof: ProvenanceSettings) -> Evidence | Unknown:
    try:
        return await registries.ask(ctx, image.repository, lambda client, registry: provenance.evidence(client, registry, image, proof))
    except Unanswered as why:
        return _unknown(why)


def _unknown(why: Unanswered) -> Unknown:
    return Unknown(str(why), not isinstance(why, registries.NotNamed), retry_after=why.retry_after)


async def _decide(ctx: Context, conn: Connection, push: Push, found: Found) -> None:
    now = await ctx.db.now(conn)
    if found.image != push.known_as:
        await pushes.resolved(conn, push, found.image)
    scopes, done = rules.scopes(await policies.enabled(conn), push.image), await pushes.decided(conn, push)
    if not scopes:
        await pushes.decide(conn, push, Decision(found.image, None, None, False, "no policy matches this image"), now)
    waiting = [scope for scope in scopes if scope.policy.id not in done]
    held = [(scope, hold) for scope in waiting if (hold := await _decide_under(ctx, conn, scope, push, found))]
    if held:
        why = "; ".join(f"policy {scope.policy.id}: {hold.why}" for scope, hold in held)
        await put_off(conn, push, min(hold.until for _, hold in held if hold.until), why, now)
    else:
        await pushes.settle(conn, push)
    if not held or len(held) < len(waiting):
        await _tell_of_delivery(conn, push, TrailType.DELIVERY_DECIDED, now)


async def put_off(conn: Connection, push: Push, until: datetime, why: str, now: datetime) -> None:
    """Look at a push again later; whoever follows webhooks is told when it waits for something else than before."""
    if await pushes.put_off(conn, push, until, why) and why != push.waits_for:
        await _tell_of_delivery(conn, push, TrailType.DELIVERY_WAITING, now)


async def _tell_of_delivery(conn: Connection, push: Push, what: TrailType, now: datetime) -> None:
    """Tell whoever follows webhooks; what a registry said when it was asked came by none."""
    if push.delivery_id is not None:
        await events.record(conn, what, now, delivery=push.delivery_id)


async def _decide_under(ctx: Context, conn: Connection, scope: Scope, push: Push, found: Found) -> Hold | None:
    """Start a rollout under one policy, or keep why not; a Hold when that cannot be said yet."""
    now = await ctx.db.now(conn)
    held, belongs_to = await hold(conn, scope, push, found, now)
    if (held is None or held.until) and await _gives_way(conn, scope, push, found, held):
        held = Hold("it was pushed again before this push was decided" + (f": {held.why}" if held else ""))
    if held is None:
        await _start(ctx, conn, scope, push, found)
    elif held.until is None:
        await _keep(ctx, conn, push, Decision(found.image, scope.policy.id, belongs_to, False, held.why))
    else:
        if held.asks_operators:
            await catalogue.request(conn, found.image, now)
        return held
    return None


async def _gives_way(conn: Connection, scope: Scope, push: Push, found: Found, held: Hold | None) -> bool:
    """Whether a newer push of the same tag takes the place of one that waits.

    Where images must have an age each has its turn, as far as it is known by its digest: else a tag that is pushed all the time had none.
    """
    if held is None and push.waits_for is None:
        return False
    has_its_turn = scope.policy.settings.registry.min_age_minutes and found.image.digest and (held is None or held.only_time)
    return not has_its_turn and await pushes.is_told_again(conn, push, scope.policy.id)


async def hold(conn: Connection, scope: Scope, push: Push, found: Found, now: datetime) -> tuple[Hold | None, RolloutId | None]:
    """What holds a push up under a policy, with the rollout it belongs to if it is known; (None, None) when it should start one."""
    settings, image, at = scope.policy.settings, found.image, Moment(now, push.heard_at, push.attempts)
    in_use = await images.base_images(conn, scope, image)
    if why := images.unwanted(scope.policy, image, in_use, now):
        return Hold(why), None
    if first := await _goes_before(conn, scope, push, in_use):
        return Hold(f"{first}, which was pushed together with it, goes before it"), None
    moves = not has_place(settings.tags, image.tag or "") and any(used.tag == image.tag for used in in_use)
    if unpinned := gates.pinned(found, _unresolved(settings), moves, at):
        return unpinned, None
    belongs_to, why_not = await images.refusal(conn, scope, image, now)
    if why_not:
        return Hold(why_not), belongs_to
    return await _gate(conn, scope, push, found, at), None


async def _goes_before(conn: Connection, scope: Scope, push: Push, in_use: Sequence[Image]) -> str | None:
    """One build is often pushed as 1.4.2 and latest at once: those are one rollout, whichever is looked at first."""
    settings = scope.policy.settings
    pattern, together = Pattern.parse(settings.image_pattern), await pushes.told_together(conn, push)
    tags = [other.tag or "" for other in together if pattern.matches(other)]
    return goes_before(settings.tags, push.image.tag or "", tags, {used.tag or "" for used in in_use})


def _unresolved(settings: PolicySettings) -> Unresolved:
    """What is asked about a digest cannot be answered for a tag."""
    needs_digest = settings.provenance is not None or settings.registry.check_platforms
    return Unresolved.WAIT if needs_digest else settings.registry.unresolved


async def _gate(conn: Connection, scope: Scope, push: Push, found: Found, at: Moment) -> Hold | None:
    """What a policy demands of every image before it takes it."""
    settings, image = scope.policy.settings, found.image
    minimum = timedelta(minutes=settings.registry.min_age_minutes)
    if minimum and (young := gates.aged(await _first_heard(conn, push, image), minimum, at.now)):
        return young
    if settings.registry.check_platforms:
        wanted = await _platforms_wanted(conn, scope, image)
        if lacking := gates.runs_on(wanted, found.platforms, at):
            return lacking
    proof = settings.provenance
    if proof and (unproven := gates.proven(found.evidence.get(proof, gates.NOT_ASKED), at)):
        return unproven
    # Last, so that operators are asked about images only that would be taken.
    return gates.approved(await catalogue.standing_of(conn, image), at.now) if settings.approved_images_only else None


async def _first_heard(conn: Connection, push: Push, image: Image) -> datetime:
    """When this very image was first told of; of a tag whose digest is unknown nobody can say whether it is the same as before."""
    return push.heard_at if image.digest is None else await pushes.first_heard(conn, image) or push.first_at


async def _platforms_wanted(conn: Connection, scope: Scope, image: Image) -> set[str]:
    said = await devices.platforms(conn, image.repository, scope.fleet, scope.except_fleets, scope.selector)
    return {known for one in said if (known := platforms.platform(one))}


async def _start(ctx: Context, conn: Connection, scope: Scope, push: Push, found: Found) -> None:
    rollout = await images.start(ctx, conn, scope, found.image)
    by_tag = "" if found.image.digest else f", by its tag: {found.digest.why}"
    decision = Decision(found.image, scope.policy.id, rollout.id, True, f"started rollout {rollout.id}{by_tag}")
    await _keep(ctx, conn, push, decision)
    await images.tell(ctx, conn, rollout, scope.policy)


async def _keep(ctx: Context, conn: Connection, push: Push, decision: Decision) -> None:
    now = await ctx.db.now(conn)
    await pushes.decide(conn, push, decision, now)
    await events.record(
        conn, EventType.WEBHOOK_RECEIVED, now, rollout=decision.rollout_id,
        image=str(decision.image), sender=push.source, policy_id=decision.policy_id, decision=decision.decision,
    )  # fmt: skip


async def page(ctx: Context, before: PushId, limit: int, wanted: PushFilter = _ALL) -> list[Push]:
    """Pushes that have something in common, newest first."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await pushes.page(conn, before, limit, wanted)


async def count(ctx: Context, wanted: PushFilter = _ALL) -> int:
    """How many pushes have something in common."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await pushes.count(conn, wanted)


async def of_delivery(ctx: Context, delivery: DeliveryId) -> list[Push]:
    """What a delivery told."""
    return (await of_deliveries(ctx, [delivery])).get(delivery, [])


async def decisions(ctx: Context, push: PushId) -> list[tuple[Decision, datetime]]:
    """What came of a push, in the order in which it was decided."""
    return (await decisions_of(ctx, [push])).get(push, [])


async def many(ctx: Context, ids: Sequence[PushId]) -> dict[PushId, Push]:
    """Those of these pushes that there are."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await pushes.many(conn, ids)


async def of_deliveries(ctx: Context, ids: Sequence[DeliveryId]) -> dict[DeliveryId, list[Push]]:
    """What each of these deliveries told, in its order."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await pushes.of_deliveries(conn, ids)


async def decisions_of(ctx: Context, ids: Sequence[PushId]) -> dict[PushId, list[tuple[Decision, datetime]]]:
    """What came of each of these pushes, in the order in which it was decided."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await pushes.decisions_of(conn, ids)


async def of_rollouts(ctx: Context, ids: Sequence[RolloutId], before: PushId, limit: int) -> dict[RolloutId, list[Push]]:
    """The pushes that started each of these rollouts or were found to belong to it, newest first: of each, so many."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await pushes.of_rollouts(conn, ids, before, limit)


async def count_of_rollouts(ctx: Context, ids: Sequence[RolloutId]) -> dict[RolloutId, int]:
    """How many pushes started each of these rollouts or belong to it."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await pushes.count_of_rollouts(conn, ids)


async def of_repositories(ctx: Context, repositories: Sequence[str], before: PushId, limit: int) -> dict[str, list[Push]]:
    """The pushes of each of these repositories, newest first: of each, so many."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await pushes.of_repositories(conn, repositories, before, limit)


async def count_of_repositories(ctx: Context, repositories: Sequence[str]) -> dict[str, int]:
    """How many pushes there are of each of these repositories."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await pushes.count_of_repositories(conn, repositories)
