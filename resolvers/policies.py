"""What operators do with policies."""

from collections.abc import Mapping, Sequence

from domain import expected
from domain.actors import Permission
from domain.audit import Action, Subject, SubjectType
from domain.errors import NotFound, about
from domain.ids import PolicyId
from domain.images import Image, Pattern
from domain.policies import Policy, PolicyFilter
from domain.settings import settings as checked
from resolvers.context import Context
from storage import policies, pushes
from storage.connection import Connection

_ALL = PolicyFilter()


async def create(ctx: Context, values: Mapping[str, object], *, idempotency_key: str | None = None) -> Policy:
    """A new policy; raises BadInput naming each field that is wrong.

    Asked again under the same idempotency key it is that policy, as it is by then: perhaps changed, perhaps deleted.
    """
    async with ctx.changing(Action.CREATE_POLICY) as change:
        settings = checked(dict(values))
        if made := await change.made_before(idempotency_key, values):
            return _found(await policies.one(change.conn, PolicyId(made)), PolicyId(made))
        policy = await policies.insert(change.conn, settings, change.now)
        change.of(_subject(policy.id), settings=_given(policy, values))
    return policy


async def update(ctx: Context, policy_id: PolicyId, changes: Mapping[str, object], *, expected_version: int | None = None) -> Policy:
    """Change the fields that are given; rollouts under way keep the plan they started with. Raises StaleVersion."""
    return await _update(ctx, Action.UPDATE_POLICY, policy_id, changes, expected_version)


async def set_enabled(ctx: Context, policy_id: PolicyId, enabled: bool, *, expected_version: int | None = None) -> Policy:
    """Let a policy act on pushes, or not; its rollouts go on. Raises StaleVersion."""
    action = Action.ENABLE_POLICY if enabled else Action.DISABLE_POLICY
    return await _update(ctx, action, policy_id, {"enabled": enabled}, expected_version)


async def _update(ctx: Context, action: Action, policy_id: PolicyId, changes: Mapping[str, object], expected_version: int | None) -> Policy:
    async with ctx.changing(action) as change:
        before = await _locked(change.conn, policy_id, expected_version)
        settings = checked({**before.settings.model_dump(), **changes})
        if settings == before.settings:
            return before
        policy = await policies.update(change.conn, policy_id, settings, change.now)
        change.of(_subject(policy_id), settings=_given(policy, changes))
    await _wake(ctx, before, policy)
    return policy


async def delete(ctx: Context, policy_id: PolicyId, *, expected_version: int | None = None) -> Policy:
    """Take a policy away; its rollouts go on, and stay in the history. Raises StaleVersion."""
    async with ctx.changing(Action.DELETE_POLICY) as change:
        before = await _locked(change.conn, policy_id, expected_version)
        deleted = await policies.delete(change.conn, policy_id, change.now)
        change.of(_subject(policy_id), image_pattern=before.settings.image_pattern)
    await _wake(ctx, before)
    return deleted


async def _wake(ctx: Context, *affected: Policy) -> None:
    """What waits under a policy may not have to any more. After its transaction, since deciding locks a push first and then its policy."""
    patterns = [Pattern.parse(policy.settings.image_pattern) for policy in affected]
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        concerned = [name for name in await pushes.undecided(conn) if any(pattern.is_about(name) for pattern in patterns)]
        await pushes.wake(conn, concerned, now)


async def unblock(ctx: Context, policy_id: PolicyId, image: str, *, expected_version: int | None = None) -> bool:
    """Let a release that was rolled back be rolled out again; false if it was not blocked. The version is the policy's."""
    async with ctx.changing(Action.UNBLOCK_RELEASE) as change:
        with about("image"):
            release = Image.parse(image)
        await _locked(change.conn, policy_id, expected_version)
        was_blocked = await policies.unblock(change.conn, policy_id, release)
        if was_blocked:
            change.of(_subject(policy_id), image=str(release))
    return was_blocked


async def one(ctx: Context, policy_id: PolicyId) -> Policy | None:
    """One policy, deleted or not."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await policies.one(conn, policy_id)


async def many(ctx: Context, ids: Sequence[PolicyId]) -> dict[PolicyId, Policy]:
    """Those of these policies that there are, deleted or not."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await policies.many(conn, ids)


async def page(ctx: Context, after: PolicyId, limit: int, wanted: PolicyFilter = _ALL) -> list[Policy]:
    """Policies that have something in common, in the order they were made; without those that were deleted, unless they are wanted."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await policies.page(conn, after, limit, wanted)


async def count(ctx: Context, wanted: PolicyFilter = _ALL) -> int:
    """How many policies have something in common."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await policies.count(conn, wanted)


async def _locked(conn: Connection, policy_id: PolicyId, expected_version: int | None) -> Policy:
    policy = _found(await policies.locked(conn, policy_id), policy_id)
    expected.check(f"policy {policy_id}", policy.version, expected_version)
    return policy


def _subject(policy_id: PolicyId) -> Subject:
    return Subject.of(SubjectType.POLICY, policy_id)


def _given(policy: Policy, values: Mapping[str, object]) -> dict[str, object]:
    """What was asked for, as it is kept; of checks no more than their names, since their addresses may hold secrets."""
    given = policy.settings.model_dump(mode="json", include=set(values))
    return given if "checks" not in given else given | {"checks": [check.name for check in policy.settings.checks]}


def _found(policy: Policy | None, policy_id: PolicyId) -> Policy:
    if policy is None:
        raise NotFound.of("policy", policy_id)
    return policy
