"""An image becomes a rollout, since it was pushed or an operator wants it; or why it does not."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain import policies as rules
from domain.audit import Action, Subject, SubjectType
from domain.catalogue import Standing
from domain.errors import BadInput, Conflict, NotFound, about
from domain.events import EventType
from domain.ids import PolicyId, ReleaseId, RolloutId
from domain.images import Image, Pattern
from domain.policies import Policy, Scope
from domain.requests import Request, ask
from domain.rollouts import Rollout
from domain.statuses import Status
from domain.tags import goes_back, judge
from domain.times import shown
from resolvers import catalogue, moves
from resolvers.changing import Change
from resolvers.context import Context
from storage import enrolment, events, members, policies, rollouts
from storage.connection import Connection

MOST_TOGETHER = 20
# How far apart the events of one push may be.
_ONE_PUSH = timedelta(minutes=15)


async def create_rollout(
    ctx: Context, policy_id: PolicyId, image: str, also: Sequence[str] = (), *, idempotency_key: str | None = None
) -> Rollout:
    """Roll an image out by hand, to the devices that a policy governs; older versions and earlier releases are allowed.

    Those in `also` move together with it: a device that runs any of their repositories gets all of them at once, or none.
    Asked again under the same idempotency key it is that rollout, wherever it is by then.
    """
    async with ctx.changing(Action.CREATE_ROLLOUT) as change:
        together = together_with(image, also)
        if made := await change.made_before(idempotency_key, [policy_id, image, list(also)]):
            return await _made(change.conn, RolloutId(made))
        rollout = await _create(ctx, change, policy_id, together)
        change.of(Subject.of(SubjectType.ROLLOUT, rollout.id), policy=policy_id, images=[str(one) for one in rollout.images])
    return rollout


async def _made(conn: Connection, rollout_id: RolloutId) -> Rollout:
    rollout = await rollouts.one(conn, rollout_id)
    assert rollout is not None, "a rollout keeps its row"
    return rollout


async def _create(ctx: Context, change: Change, policy_id: PolicyId, together: Sequence[Image]) -> Rollout:
    """Begin to roll these out, unless something is in the way."""
    (first, *others), conn, now = together, change.conn, change.now
    await alone(conn, together)
    policy = await policies.locked(conn, policy_id)
    if policy is None:
        raise NotFound.of("policy", policy_id)
    scope = rules.scope_by_hand(policy, await policies.enabled(conn), first)
    release, *_ = [await _allowed(conn, scope, one, now) for one in together]
    active = await rollouts.active(conn, policy_id, [one.repository for one in together])
    if why := over(policy, now) or already_under_way(active, together):
        raise Conflict(why)
    for one in together:
        await _supersede(ctx, conn, policy_id, one)
    rollout = await rollouts.start(conn, scope, release, first, now, by_hand=True, also=others)
    await tell(ctx, conn, rollout, policy)
    return rollout


def together_with(image: str, also: Sequence[str]) -> list[Image]:
    """The images that an operator wants to move together; raises BadInput."""
    if 1 + len(also) > MOST_TOGETHER:
        raise BadInput(f"also: at most {MOST_TOGETHER} images move together")
    with about("image"):
        images = [Image.parse(image)]
    with about("also"):
        images += map(Image.parse, also)
    if len({one.repository for one in images}) < len(images):
        raise BadInput("also: two images are of the same repository")
    return images


async def _allowed(conn: Connection, scope: Scope, image: Image, now: datetime) -> ReleaseId:
    """The release of an image that an operator wants; raises BadInput or Conflict where it must not be rolled out."""
    if why := mismatch(scope.policy, image):
        raise BadInput(why)
    if why := await why_not_by_hand(conn, scope, image):
        raise Conflict(why)
    release, _ = await policies.release(conn, scope.policy.id, image, now)
    return release


def over(policy: Policy, now: datetime) -> str | None:
    """Why a policy offers nobody new anything any more; None if it does."""
    not_after = policy.settings.schedule.not_after
    return f"the time of policy {policy.id} was over at {shown(not_after)}" if not_after and not_after <= now else None


def already_under_way(active: Sequence[Rollout], images: Sequence[Image]) -> str | None:
    """Why creating a rollout of these images would only begin again what is under way; None if it would not."""
    same = [rollout.id for rollout in active if set(rollout.images) == set(images)]
    return f"rollout {same[0]} brings it already: retry it, promote it or roll it back instead" if same else None


def mismatch(policy: Policy, image: Image) -> str | None:
    """Why a policy is not for an image; None if it is."""
    pattern = policy.settings.image_pattern
    return None if Pattern.parse(pattern).matches(image) else f"image: {image} does not match the policy's pattern {pattern}"


async def why_not_by_hand(conn: Connection, scope: Scope, image: Image) -> str | None:
    """Why an operator cannot roll this image out now; None if it can be done."""
    if not await base_images(conn, scope, image):
        return f"no device that this policy governs runs {image.name}"
    known = await policies.known_release(conn, scope.policy.id, image)
    if known and (why := await policies.why_blocked(conn, known)):
        return f"{image} is blocked: {why}; unblock it first"
    return await _why_not_approved(conn, scope.policy, image)


async def _why_not_approved(conn: Connection, policy: Policy, image: Image) -> str | None:
    """Naming an image does not approve it: who, when and why is on record for whatever such a policy rolls out."""
    if not policy.settings.approved_images_only or (standing := await catalogue.standing_of(conn, image)) is Standing.APPROVED:
        return None
    is_judged = standing in (Standing.REJECTED, Standing.DEPRECATED)
    by_digest = "" if image.digest else ", or name it with the digest that is approved"
    return (
        f"{image} is {standing if is_judged else 'not approved'}, and policy {policy.id} takes approved images only: approve it{by_digest}"
    )


async def alone(conn: Connection, images: Sequence[Image]) -> None:
    """Two pushes of an image are considered one after the other, and nobody moves its rollouts meanwhile."""
    repositories = sorted(image.repository for image in images)
    for repository in repositories:
        await enrolment.alone(conn, repository)
    await rollouts.lock_active(conn, repositories)


async def refusal(conn: Connection, scope: Scope, image: Image, now: datetime) -> tuple[RolloutId | None, str | None]:
    """Why a pushed image starts nothing, with the rollout it belongs to; (None, None) when it should start one."""
    in_use = await base_images(conn, scope, image)
    if why := unwanted(scope.policy, image, in_use, now):
        return None, why
    if in_use == [image]:
        return None, f"every device already runs {image}"
    if (known := await _earlier(conn, scope, image, now)) and (why_not := await _known(conn, known)):
        return why_not
    active = next(iter(await rollouts.active(conn, scope.policy.id, [image.repository])), None)
    if active and active.also:
        return active.id, f"rollout {active.id} moves {image.name} together with other images; it must end first"
    if active and goes_back(scope.policy.settings.tags, image.tag or "", active.image.tag or ""):
        return active.id, f"rollout {active.id} brings a newer version, {active.image}"
    return None, None


def unwanted(policy: Policy, image: Image, in_use: Sequence[Image], now: datetime) -> str | None:
    """Why a pushed image is nothing for the devices of a policy, whatever its digest; None if it may be something."""
    if why := over(policy, now):
        return why
    if not in_use:
        return f"no device that this policy governs runs {image.name}"
    return judge(policy.settings.tags, image.tag or "", {used.tag or "" for used in in_use})


async def start(ctx: Context, conn: Connection, scope: Scope, image: Image) -> Rollout:
    """Begin to roll out what was pushed; what is under way of the same image is superseded."""
    now = await ctx.db.now(conn)
    release, _ = await policies.release(conn, scope.policy.id, image, now)
    await _supersede(ctx, conn, scope.policy.id, image)
    return await rollouts.start(conn, scope, release, image, now, by_hand=False)


async def _earlier(conn: Connection, scope: Scope, image: Image, now: datetime) -> ReleaseId | None:
    """The release that this is. A push may be told twice, with its digest and without: within a quarter of an hour that is one."""
    if known := await policies.known_release(conn, scope.policy.id, image):
        return known
    return await rollouts.recent_release_of_tag(conn, scope.policy.id, image, now - _ONE_PUSH)


async def _known(conn: Connection, release: ReleaseId) -> tuple[RolloutId | None, str] | None:
    """Why a release that was pushed before starts nothing; None when it was rolled back and an operator unblocked it."""
    latest = await rollouts.latest_of(conn, release)
    if why := await policies.why_blocked(conn, release):
        return None if latest is None else latest.id, f"this release is blocked: {why}"
    if latest is None or latest.status in (Status.ROLLING_BACK, Status.ROLLED_BACK):
        return None
    return latest.id, f"this release is known: rollout {latest.id}"


async def base_images(conn: Connection, scope: Scope, image: Image) -> list[Image]:
    """What the devices that a policy governs are based on, of an image's repository."""
    return await members.base_images(conn, image.repository, scope.fleet, scope.except_fleets, scope.selector)


async def _supersede(ctx: Context, conn: Connection, policy_id: PolicyId, image: Image) -> None:
    if active := await rollouts.locked_active(conn, policy_id, image.repository):
        move = ask(active, Request.SUPERSEDE, await ctx.db.now(conn), f"{image} took over")
        await moves.save(conn, move, ctx.actor)


async def tell(ctx: Context, conn: Connection, rollout: Rollout, policy: Policy) -> None:
    """Tell that a rollout was created."""
    image = rollout.image
    await events.record(
        conn, EventType.ROLLOUT_CREATED, rollout.created_at, rollout=rollout.id, revision=rollout.revision, image_name=image.name,
        new_tag=image.tag, image=str(image), images=list(map(str, rollout.images)),
        strategy=policy.settings.update_strategy, actor=ctx.actor.name,
    )  # fmt: skip
