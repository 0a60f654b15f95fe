"""rollwave rollouts: see them, create them, follow them. Moving them is in moves.py."""

from typing import Any

import click

from rollwave.api.enums import RolloutStatus
from rollwave.api.fragments import RolloutLine
from rollwave.api.input_types import CreateRolloutInput, RolloutFilterInput
from rollwave.api.rollout import RolloutRollout
from rollwave.commands import moves, options
from rollwave.commands.asking import asking
from rollwave.commands.waiting import Wait, wait
from rollwave.connection import Rollwave
from rollwave.ends import End
from rollwave.finding import found, number_or_id, policy_by, rollout_by
from rollwave.outcomes import moved, previewed
from rollwave.output import document, table
from rollwave.paging import collected
from rollwave.views import show_preview, show_rollout, show_why
from rollwave.words import said

a_rollout = click.argument("rollout", metavar="NUMBER|ID")


@click.group()
def rollouts() -> None:
    """See, create, follow and move rollouts. NUMBER is as in “rollout 7”."""


@rollouts.command("list")
@click.option("--status", type=click.Choice(RolloutStatus, case_sensitive=False), multiple=True, help="Only those; may be repeated.")
@click.option("--policy", metavar="NUMBER|ID", help="Only of this policy.")
@click.option("--fleet", help="Only for this fleet.")
@click.option("--search", metavar="TEXT", help="Only with this in the image.")
@options.limit
@options.as_json
@asking
async def every(
    rollwave: Rollwave, /, status: tuple[RolloutStatus, ...], policy: str | None, limit: int, as_json: bool, **wanted: Any
) -> None:
    """List rollouts, newest first."""
    of = None if policy is None else (await policy_by(rollwave, policy)).id
    having = RolloutFilterInput(status=list(status) or None, policy=of, **wanted)
    rows = await collected(lambda first, after: rollwave.rollouts(first=first, after=after, filter_=having), limit)
    document(rows) if as_json else table([_row(rollout) for rollout in rows])


@rollouts.command()
@a_rollout
@options.as_json
@asking
async def show(rollwave: Rollwave, rollout: str, as_json: bool) -> None:
    """Show one rollout: its batches, its devices, which of them failed, what it waits for."""
    one = await _whole(rollwave, rollout)
    document(one) if as_json else show_rollout(one)


@rollouts.command()
@a_rollout
@options.as_json
@asking
async def explain(rollwave: Rollwave, rollout: str, as_json: bool) -> None:
    """Say what a rollout waits for, what would make it move, what it came of, and which devices failed."""
    one = await _whole(rollwave, rollout)
    document(one.explain) if as_json else show_why(one)


@rollouts.command()
@options.policy
@options.image
@options.also
@options.as_json
@asking
async def preview(rollwave: Rollwave, policy: str, image: str, also: tuple[str, ...], as_json: bool) -> End:
    """Say what a rollout would do, and change nothing. Ends with 2 if creating it would be refused."""
    of = await policy_by(rollwave, policy)
    seen = previewed(await rollwave.preview_rollout(policy=of.id, image=image, also=list(also)))
    document(seen) if as_json else show_preview(seen)
    return End.GOOD if seen.refusal is None else End.REFUSED


@rollouts.command()
@options.policy
@options.image
@options.also
@options.idempotency_key
@click.option("--wait", "waits", is_flag=True, help="Wait for its end, as `rollwave rollouts wait` does.")
@options.timeout
@options.patience
@options.as_json
@asking
async def create(
    rollwave: Rollwave, policy: str, image: str, also: tuple[str, ...], idempotency_key: str | None,
    waits: bool, at_most: float | None, patience: float, as_json: bool,
) -> End:  # fmt: skip
    """Create a rollout of an image to a policy's devices."""
    of = await policy_by(rollwave, policy)
    wanted = CreateRolloutInput(policy=of.id, image=image, also=list(also), idempotency_key=idempotency_key)
    rollout = moved(await rollwave.create_rollout(wanted))
    if waits:
        click.echo(f"created rollout {rollout.number}", err=True)
        return await wait(rollwave, await rollout_by(rollwave, rollout.id), Wait(at_most, patience, lines=True, as_json=as_json))
    moves.tell(rollout, as_json)
    return End.GOOD


@rollouts.command()
@a_rollout
@options.timeout
@options.patience
@options.as_json
@asking
async def watch(rollwave: Rollwave, rollout: str, at_most: float | None, patience: float, as_json: bool) -> End:
    """Follow a rollout to its end, with a bar in a terminal.

    Connects again by itself when the server restarts. Ends as `rollwave rollouts wait` does.
    """
    return await wait(rollwave, await rollout_by(rollwave, rollout), Wait(at_most, patience, as_json=as_json))


@rollouts.command("wait")
@a_rollout
@options.timeout
@options.patience
@options.as_json
@asking
async def wait_for(rollwave: Rollwave, rollout: str, at_most: float | None, patience: float, as_json: bool) -> End:
    """Wait for a rollout's end, with a line on stderr for every change: for CI.

    \b
    Ends with 0: completed
              1: rolled back, or on its way back when the time was over
              2: wrong usage, or the server refused
              3: cancelled, or a newer one took over
              4: the time was over; the rollout goes on
              5: the server cannot be reached
    """
    return await wait(rollwave, await rollout_by(rollwave, rollout), Wait(at_most, patience, lines=True, as_json=as_json))


for move in moves.ALL:
    rollouts.add_command(move)


async def _whole(rollwave: Rollwave, name: str) -> RolloutRollout:
    return found(await rollwave.rollout(**number_or_id("rollout", name)), "rollout", name)


def _row(rollout: RolloutLine) -> dict[str, object]:
    return {
        "NUMBER": rollout.number,
        "STATUS": rollout.status,
        "IMAGE": rollout.image.reference,
        "POLICY": rollout.policy.number,
        "FLEET": rollout.fleet and rollout.fleet.name,
        "BATCH": f"{rollout.current_batch}/{rollout.total_batches}",
        "OFFERED": f"{rollout.offered_devices}/{rollout.total_devices}",
        "CREATED": rollout.created_at,
        "REASON": said(rollout.reason),
    }
