"""rollwave rollouts start, pause, approve, …: what moves a rollout."""

from collections.abc import Awaitable, Callable

import click

from rollwave.api.fragments import RolloutLine
from rollwave.api.input_types import (
    ApproveRolloutInput,
    CancelRolloutInput,
    PauseRolloutInput,
    PromoteRolloutInput,
    RejectRolloutInput,
    ResumeRolloutInput,
    RetryRolloutInput,
    RollBackRolloutInput,
    StartRolloutInput,
)
from rollwave.commands import options
from rollwave.commands.asking import asking
from rollwave.commands.consent import confirm, expect_somebody
from rollwave.connection import Rollwave
from rollwave.finding import LARGEST, found, rollout_by
from rollwave.outcomes import Moved, Refusal, moved
from rollwave.output import document, say
from rollwave.views import show_rollout
from rollwave.words import said

Request = Callable[[Rollwave, str, str | None], Awaitable[Moved | Refusal]]
"""Asks a rollout, by its id, to move, and says why."""


def tell(rollout: RolloutLine, as_json: bool) -> None:
    """What became of it."""
    document(rollout) if as_json else say(f"rollout {rollout.number} of {rollout.image.reference} is {said(rollout.status)}")


def _move(name: str, explained: str, request: Request) -> click.Command:
    """A command that asks for a move and no more."""

    @click.command(name, help=explained)
    @click.argument("rollout", metavar="NUMBER|ID")
    @click.option("--reason", metavar="TEXT", help="Why, for the history.")
    @options.as_json
    @asking
    async def move(rollwave: Rollwave, rollout: str, reason: str | None, as_json: bool) -> None:
        tell(moved(await request(rollwave, (await rollout_by(rollwave, rollout)).id, reason)), as_json)

    return move


def _decision(name: str, explained: str, request: Callable[[Rollwave, str, str, str | None], Awaitable[Moved | Refusal]]) -> click.Command:
    """A command that decides on exactly what somebody has seen."""

    @click.command(name, help=explained)
    @click.argument("rollout", metavar="NUMBER|ID")
    @click.option(
        "--checksum",
        metavar="TEXT",
        help="Of what you decide on, as `show --json` has it. Without it you are shown the rollout, and asked.",
    )
    @click.option("--yes", is_flag=True, help="Decide on it as it is now, unseen.")
    @click.option("--remark", metavar="TEXT", help="Why.")
    @options.as_json
    @asking
    async def decide(rollwave: Rollwave, rollout: str, checksum: str | None, yes: bool, remark: str | None, as_json: bool) -> None:
        one = await rollout_by(rollwave, rollout)
        seen = checksum or (one.checksum if yes else await _seen(rollwave, one.id, name))
        tell(moved(await request(rollwave, one.id, seen, remark)), as_json)

    return decide


async def _seen(rollwave: Rollwave, rollout_id: str, name: str) -> str:
    """The checksum of what somebody was shown and said yes to."""
    expect_somebody(f"{name} needs --checksum, or --yes")
    rollout = found(await rollwave.rollout(id=rollout_id), "rollout", rollout_id)
    show_rollout(rollout)
    confirm(f"{name} it?")
    return rollout.checksum


@click.command()
@click.argument("rollout", metavar="NUMBER|ID")
@click.option(
    "--batch", type=click.IntRange(min=1, max=LARGEST), help="The open batch, as you have seen it. Without it, whichever is open now."
)
@click.option("--reason", metavar="TEXT", help="Why, for the history.")
@options.as_json
@asking
async def promote(rollwave: Rollwave, rollout: str, batch: int | None, reason: str | None, as_json: bool) -> None:
    """Have the open batch count as good now, so that the next one opens."""
    one = await rollout_by(rollwave, rollout)
    wanted = PromoteRolloutInput(id=one.id, batch=batch or one.current_batch, reason=reason)
    tell(moved(await rollwave.promote_rollout(wanted)), as_json)


ALL = [
    _move("start", "Start a rollout that waits for an operator.",
          lambda api, key, why: api.start_rollout(StartRolloutInput(id=key, reason=why))),
    _decision("approve", "Approve a rollout that waits for approval.",
              lambda api, key, seen, why: api.approve_rollout(ApproveRolloutInput(id=key, checksum=seen, remark=why))),
    _decision("reject", "Reject a rollout that waits for approval.",
              lambda api, key, seen, why: api.reject_rollout(RejectRolloutInput(id=key, checksum=seen, remark=why))),
    promote,
    _move("pause", "Offer the image to nobody new; those who have it keep it.",
          lambda api, key, why: api.pause_rollout(PauseRolloutInput(id=key, reason=why))),
    _move("resume", "Go on with a rollout that is paused.",
          lambda api, key, why: api.resume_rollout(ResumeRolloutInput(id=key, reason=why))),
    _move("retry", "Offer the image once more to devices that failed.",
          lambda api, key, why: api.retry_rollout(RetryRolloutInput(id=key, reason=why))),
    _move("cancel", "End a rollout; devices that were offered the image keep it.",
          lambda api, key, why: api.cancel_rollout(CancelRolloutInput(id=key, reason=why))),
    _move("rollback", "Return every device to the image it had.",
          lambda api, key, why: api.roll_back_rollout(RollBackRolloutInput(id=key, reason=why))),
]  # fmt: skip
