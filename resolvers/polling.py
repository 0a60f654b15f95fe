"""Asks registries that cannot call for new tags: what a webhook would have told."""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cmp_to_key, partial

from domain.actors import Permission
from domain.images import Image, Pattern
from domain.policies import Policy
from domain.polling import Polled
from domain.pushes import POLLING
from domain.registries import Registry, Unanswered
from domain.settings import PolicySettings
from domain.tags import TagRules, goes_back, has_place
from registries.oci.client import Client
from resolvers import choosing, registries
from resolvers.context import Context
from storage import catalogue, policies, polling, pushes, rollouts
from storage.connection import Connection

LEASE = timedelta(minutes=10)
_JITTER = 0.1
"""Repositories that were first asked together are not asked together for ever."""
_ANY = TagRules()
log = logging.getLogger(__name__)
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


async def claim(ctx: Context, every: Mapping[str, timedelta], spared: Sequence[str]) -> Polled | None:
    """The repository that has been due for longest, of any registry but those spared; of several processes one asks about it."""
    if not every:
        return None
    async with ctx.db.unheard() as conn:
        return await polling.claim(conn, every, spared, await ctx.db.now(conn), LEASE)


async def look(ctx: Context, polled: Polled, every: timedelta) -> None:
    """Ask for the tags of a repository, have those decided about that are like a push, and ask again after so long."""
    try:
        await _look(ctx, polled, every)
    except Unanswered as why:
        await _failed(ctx, polled, str(why), why.retry_after)
    except Exception:
        log.exception("%s could not be asked about; it will be tried again", polled.repository)
        await _failed(ctx, polled, "something went wrong here; the server's log says what", None)


async def _failed(ctx: Context, polled: Polled, problem: str, retry_after: timedelta | None) -> None:
    """Half a minute, twice as long each time, an hour at the most; not before the registry wants to be asked."""
    pause = min(_FIRST_RETRY * (1 << min(polled.failures, 10)), _LAST_RETRY)
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        await polling.failed(conn, polled.repository, problem, now + max(pause, retry_after or pause))


async def page(ctx: Context) -> list[Polled]:
    """Every repository that is asked, and how that goes."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await polling.all_of_them(conn)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one policy looks for in a repository."""

    settings: PolicySettings
    since: datetime
    """When it last changed what it takes; what was told before may have been decided otherwise."""
    known: frozenset[Image]
    """What its devices are on, or on their way to."""
    tags: frozenset[str]
    """Those that they would go to, and those without a place in the order that they are on."""

    def is_news(self, tag: str, digest: str, before: str | None) -> bool:
        """Whether this is like a push: for devices on that very version only if it is another image than theirs, or than before."""
        if tag not in self.tags:
            return False
        digests = {image.digest for image in self.known if image.tag == tag}
        if not digests or not has_place(self.settings.tags, tag):
            return True
        return digest not in digests and (None not in digests or before not in (None, digest))


async def _look(ctx: Context, polled: Polled, every: timedelta) -> None:
    repository = polled.repository
    tags = await registries.ask(ctx, repository, lambda client, registry: client.tags(registry, repository))
    async with ctx.db.reading() as conn:
        wishes = await _wishes(conn, repository, tags)
    seen = await _digests(ctx, repository, set[str]().union(*(wish.tags for wish in wishes)))
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        for tag in sorted(seen, key=cmp_to_key(_newest_first)):
            since = [wish.since for wish in wishes if wish.is_news(tag, seen[tag], polled.seen.get(tag))]
            await _tell(conn, Image(repository, tag, seen[tag]), since, now)
        await polling.answered(conn, repository, seen, now, now + every * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311


async def _wishes(conn: Connection, repository: str, tags: Sequence[str]) -> list[_Wish]:
    said_at = await catalogue.last_said(conn, repository)
    return [await _wish(conn, policy, repository, tags, said_at) for policy in _concerned(await policies.enabled(conn), repository)]


async def _wish(conn: Connection, policy: Policy, repository: str, tags: Sequence[str], said_at: datetime | None) -> _Wish:
    settings = policy.settings
    choices = [choice for choice in await choosing.choices(conn, policy, repository, tags) if choice.in_use]
    known = {image for choice in choices for image in choice.in_use}
    offered = [image for rollout in await rollouts.active(conn, policy.id, [repository]) for image in rollout.images]
    on_their_way = {image for image in offered if image.repository == repository}
    stay = {image.tag for image in known if image.tag and not has_place(settings.tags, image.tag)}
    wanted = {choice.tag for choice in choices if choice.tag} | {tag for choice in choices for tag in choice.meant if tag in stay}
    since = max(policy.updated_at, said_at) if said_at and settings.approved_images_only else policy.updated_at
    return _Wish(settings, since, frozenset(known | on_their_way), frozenset(wanted))


def _concerned(enabled: Sequence[Policy], repository: str) -> list[Policy]:
    polls = [policy for policy in enabled if policy.settings.registry.poll_minutes]
    return [policy for policy in polls if Pattern.parse(policy.settings.image_pattern).is_about(repository)]


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


def _newest_first(one: str, other: str) -> int:
    """So that who takes both is not moved to the older one first."""
    return goes_back(_ANY, one, other) - goes_back(_ANY, other, one)


def _every(repository: str, polls: Sequence[Policy]) -> list[timedelta]:
    return [timedelta(minutes=policy.settings.registry.poll_minutes or 0) for policy in _concerned(polls, repository)]


async def many(ctx: Context, names: Sequence[str]) -> dict[str, Polled]:
    """Those of these repositories that are polled."""
    return {polled.repository: polled for polled in await page(ctx) if polled.repository in names}
