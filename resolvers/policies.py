"""What operators do with policies."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from domain.actors import Permission
from domain.errors import NotFound
from domain.ids import PolicyId
from domain.images import Image, Pattern
from domain.policies import Policy
from domain.settings import settings as checked
from resolvers.context import Context
from storage import policies, pushes


async def create(ctx: Context, values: Mapping[str, object]) -> Policy:
    """A new policy; raises BadInput naming each field that is wrong."""
    ctx.actor.must(Permission.OPERATE)
    settings = checked(dict(values))
    async with ctx.db.transaction() as conn:
        return await policies.insert(conn, settings, await ctx.db.now(conn))


async def update(ctx: Context, policy_id: PolicyId, changes: Mapping[str, object]) -> Policy:
    """Change the fields that are given; rollouts under way keep the plan they started with."""
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        policy = _found(await policies.locked(conn, policy_id), policy_id)
        settings = checked({**policy.settings.model_dump(), **changes})
        changed = await policies.update(conn, policy_id, settings, await ctx.db.now(conn))
    await _wake(ctx, policy, changed)
    return changed


async def delete(ctx: Context, policy_id: PolicyId) -> Policy:
    """Take a policy away; its rollouts go on, and stay in the history."""
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        policy, now = _found(await policies.locked(conn, policy_id), policy_id), await ctx.db.now(conn)
        await policies.delete(conn, policy_id, now)
    await _wake(ctx, policy)
    return replace(policy, deleted_at=now)


async def _wake(ctx: Context, *affected: Policy) -> None:
    """What waits under a policy may not have to any more. After its transaction, since deciding locks a push first and then its policy."""
    patterns = [Pattern.parse(policy.settings.image_pattern) for policy in affected]
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        concerned = [name for name in await pushes.undecided(conn) if any(pattern.is_about(name) for pattern in patterns)]
        await pushes.wake(conn, concerned, now)


async def unblock(ctx: Context, policy_id: PolicyId, image: str) -> bool:
    """Let a release that was rolled back be rolled out again; false if it was not blocked."""
    ctx.actor.must(Permission.OPERATE)
    release = Image.parse(image)
    async with ctx.db.transaction() as conn:
        _found(await policies.locked(conn, policy_id), policy_id)
        return await policies.unblock(conn, policy_id, release)


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


async def page(ctx: Context, after: PolicyId, limit: int) -> list[Policy]:
    """Policies in the order they were made."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await policies.page(conn, after, limit)


def _found(policy: Policy | None, policy_id: PolicyId) -> Policy:
    if policy is None:
        raise NotFound(f"there is no policy {policy_id}")
    return policy
