"""Waits for a rollout, and tells how it ended."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from rollwave.api.enums import RolloutStatus
from rollwave.api.find_rollout import FindRolloutRollout
from rollwave.api.fragments import Progress
from rollwave.connection import Rollwave
from rollwave.ends import OF_ROLLOUT, End, when_time_is_over
from rollwave.finding import found
from rollwave.following import follow
from rollwave.output import complain, document, say
from rollwave.screens import Screen, screen
from rollwave.words import said

WAITING = {RolloutStatus.PENDING, RolloutStatus.PAUSED}


@dataclass(slots=True)
class Wait:
    """How somebody wants to wait for a rollout."""

    at_most: float | None = None
    patience: float = 60
    lines: bool = False
    as_json: bool = False
    status: RolloutStatus | None = None
    """What it was when it was last heard of."""


async def wait(rollwave: Rollwave, rollout: FindRolloutRollout, how: Wait) -> End:
    """Show a rollout until it ends, then what became of it."""
    try:
        async with asyncio.timeout(how.at_most):
            await _watch(rollwave, rollout, how)
    except TimeoutError:
        complain(f"the time is over; the rollout is {said(how.status) if how.status else 'not heard of yet'}, and goes on")
        return when_time_is_over(how.status)
    assert how.status is not None, "a rollout that is followed to its end has a status"
    await _tell(rollwave, rollout.id, how.as_json)
    return OF_ROLLOUT[how.status]


async def _watch(rollwave: Rollwave, rollout: FindRolloutRollout, how: Wait) -> None:
    with screen(f"rollout {rollout.number}", has_trials=rollout.plan.health_check_enabled, lines=how.lines) as shown:
        moments = follow(rollwave, rollout.id, patience=how.patience, lost=lambda why: shown.note(f"{why}; trying again"))
        async with aclosing(moments):
            async for progress in moments:
                shown.show(progress)
                await _explain(rollwave, rollout.id, how.status, progress, shown)
                how.status = progress.status


async def _explain(rollwave: Rollwave, rollout_id: str, before: RolloutStatus | None, progress: Progress, shown: Screen) -> None:
    """Whoever waits for somebody else should know."""
    if progress.status in WAITING and progress.status is not before:
        rollout = found(await rollwave.rollout(id=rollout_id), "rollout", rollout_id)
        shown.note(rollout.explain.sentence)


async def _tell(rollwave: Rollwave, rollout_id: str, as_json: bool) -> None:
    rollout = found(await rollwave.rollout(id=rollout_id), "rollout", rollout_id)
    if as_json:
        document(rollout)
    else:
        say(
            f"rollout {rollout.number} of {rollout.image.reference} is {said(rollout.status)}"
            + (f": {rollout.reason}" if rollout.reason else "")
        )
