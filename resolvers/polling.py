"""Asks registries that cannot call for new tags: what a webhook would have told."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from domain.actors import Permission
from domain.images import Image, Pattern
from domain.policies import Policy
from domain.polling import Polled
from domain.pushes import POLLING
from domain.registries import Registry, Unanswered
from domain.tags import choose, has_place
from registries.oci.client import Client
from resolvers import registries
from resolvers.context import Context
from storage import members, policies, polling, pushes
from storage.connection import Connection

LEASE = timedelta(minutes=10)
_JITTER = 0.1
"""Repositories that were first asked together are not asked together for ever."""
_FIRST_RETRY, _LAST_RETRY = timedelta(seconds=30), timedelta(hours=1)


async def wanted(ctx: Context) -> dict[str, timedelta]:
    """How often each repository that devices run is to be asked; the policy that is in the greatest hurry says."""
    async with ctx.db.reading() as conn:
        polls = [policy for policy in await policies.enabled(conn) if policy.settings.registry.poll_minutes]
        intervals = {repository: _every(repository, polls) for repository in (await polling.repositories(conn) if polls else [])}
        found = {repository: min(several) for repository, several in intervals.items() if several}
        known = {polled.repository for polled in await polling.all_of_them(conn)}
    if set(found) != known:
        async with ctx.db.transaction() as conn:
            await polling.begin(conn, list(found), await ctx.db.now(conn))
    return found


async def poll_next(ctx: Context, every: dict[str, timedelta]) -> bool:
    """Ask the repository that has been due for longest; false if none is. Of several processes one asks it."""
    if not every:
        return False
    async with ctx.db.unheard() as conn:
        polled = await polling.claim(conn, every, await ctx.db.now(conn), LEASE)
    if polled is None:
        return False
    try:
        await _poll(ctx, polled, every[polled.repository])
    except Unanswered as why:
        async with ctx.db.transaction() as conn:
            now = await ctx.db.now(conn)
            await polling.failed(conn, polled.repository, str(why), now + _retry(polled.failures, why))
    return True


async def page(ctx: Context) -> list[Polled]:
    """Every repository that is asked, and how that goes."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await polling.all_of_them(conn)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one policy looks for in a repository."""

    policy: Policy
    running: frozenset[str]
    """The tags its devices are on."""
    tags: frozenset[str]
    """Those that they would go to, and those without a place in the order that they are on."""

    def is_news(self, tag: str, digest: str, before: str | None) -> bool:
        """Whether this is like a push: for devices on that very version only if it has another digest than before."""
        if tag not in self.tags:
            return False
        return tag not in self.running or not has_place(self.policy.settings.tags, tag) or before not in (None, digest)


async def _poll(ctx: Context, polled: Polled, every: timedelta) -> None:
    repository = polled.repository
    tags = await registries.ask(ctx, repository, lambda client, registry: client.tags(registry, repository))
    async with ctx.db.reading() as conn:
        looks = [await _look(conn, policy, repository, tags) for policy in _concerned(await policies.enabled(conn), repository)]
    seen = await _digests(ctx, repository, set[str]().union(*(look.tags for look in looks)))
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        for tag, digest in seen.items():
            since = [look.policy.updated_at for look in looks if look.is_news(tag, digest, polled.seen.get(tag))]
            await _tell(conn, Image(repository, tag, digest), since, now)
        await polling.answered(conn, repository, seen, now, now + every * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311


def _concerned(enabled: Sequence[Policy], repository: str) -> list[Policy]:
    polls = [policy for policy in enabled if policy.settings.registry.poll_minutes]
    return [policy for policy in polls if Pattern.parse(policy.settings.image_pattern).is_about(repository)]


async def _look(conn: Connection, policy: Policy, repository: str, tags: Sequence[str]) -> _Look:
    pattern, rules = Pattern.parse(policy.settings.image_pattern), policy.settings.tags
    in_use = await members.base_images(conn, repository, policy.settings.fleet, ())
    running = frozenset(used.tag or "" for used in in_use)
    meant = [tag for tag in tags if in_use and pattern.matches(Image(repository, tag, None))]
    chosen = choose(rules, meant, running).tag
    return _Look(policy, running, frozenset(tag for tag in meant if tag == chosen or (tag in running and not has_place(rules, tag))))


async def _digests(ctx: Context, repository: str, tags: set[str]) -> dict[str, str]:
    """The digest of each tag, of those that are still there."""
    found = {}
    for tag in sorted(tags):
        image = Image(repository, tag, None)
        if digest := await registries.ask(ctx, repository, partial(_digest, image)):
            found[tag] = digest
    return found


async def _digest(image: Image, client: Client, registry: Registry) -> str | None:
    return await client.digest(registry, image)


async def _tell(conn: Connection, image: Image, since: Sequence[datetime], now: datetime) -> None:
    """Have a push decided, unless that was done since each policy concerned was last changed: by a webhook, or by asking before."""
    if since and not await pushes.was_heard(conn, image, max(since)):
        await pushes.insert(conn, POLLING, [image], now)


def _every(repository: str, polls: Sequence[Policy]) -> list[timedelta]:
    return [timedelta(minutes=policy.settings.registry.poll_minutes or 0) for policy in _concerned(polls, repository)]


def _retry(failures: int, why: Unanswered) -> timedelta:
    """Half a minute, twice as long each time, an hour at the most; not before the registry wants to be asked."""
    pause = min(_FIRST_RETRY * (1 << min(failures, 10)), _LAST_RETRY)
    return max(pause, why.retry_after or pause)
