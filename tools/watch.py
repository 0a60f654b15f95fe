"""Follows one rollout over GraphQL subscriptions, and shows it while it moves."""

import asyncio
from contextlib import aclosing

from domain.statuses import Status
from tools.api import Api
from tools.fleet import Fleet
from tools.picture import Picture
from tools.screen import Screen
from tools.words import LAST


async def watch(api: Api, screen: Screen, fleet: Fleet, service: str, rollout: str) -> Status | None:
    """Show a rollout to its end and return how it ended; None if the subscription ended first."""
    picture = Picture(await api.image(rollout), service, fleet)
    async with screen.showing(picture), asyncio.TaskGroup() as group:
        events = group.create_task(_follow_events(api, rollout, picture))
        await _follow_progress(api, rollout, picture)
        # The two subscriptions take turns: the last event may come a moment after the last progress.
        await asyncio.wait([events], timeout=3)
        events.cancel()
    return None if picture.progress is None else picture.progress.status


async def _follow_progress(api: Api, rollout: str, picture: Picture) -> None:
    async with aclosing(api.progress(rollout)) as moments:
        async for progress in moments:
            if progress.total_batches != len(picture.batches):
                picture.batches = await api.batches(rollout)
            picture.progress = progress


async def _follow_events(api: Api, rollout: str, picture: Picture) -> None:
    async with aclosing(api.events(rollout)) as events:
        async for event in events:
            picture.tale.add(event)
            if event.name in LAST:
                return
