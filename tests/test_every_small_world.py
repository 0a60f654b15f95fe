"""Every state that a small rollout can reach, by any report, request, or passing of time, walked against the laws of the engine.

Devices below the frontier are alike to the engine, so a world is a rollout and a bag of what its devices have shown. All
four clocks of the plan are one minute, so an age is 0 or 1: not yet, or over.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from domain.errors import IllegalMove
from domain.events import EventType
from domain.ids import PolicyId, RolloutId
from domain.images import Image
from domain.plans import Plan, stages
from domain.rollouts import Move, Progress, Request, Rollout, Status, ask, decide, enrolled

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SIZE, JOINERS, LEAVES = 3, 1, False

# What a device below the frontier, or one that had the image taken back, has shown.
UNTAKEN, WAITING, LATE, SOAKING, GOOD, FAILED, BACK = "untaken", "waiting", "late", "soaking", "good", "failed", "back"
ACCEPTED, GONE = "accepted", "gone"  # failed, and an operator went on all the same; left the rollout
AFTER_A_MINUTE = {WAITING: LATE, SOAKING: GOOD}
MAY_REPORT = {
    UNTAKEN: (WAITING, SOAKING, FAILED),
    WAITING: (SOAKING, FAILED),
    LATE: (SOAKING, FAILED),
    SOAKING: (FAILED, WAITING),
    GOOD: (FAILED, WAITING),
    FAILED: (SOAKING,),
    ACCEPTED: (SOAKING,),
    GONE: (),
    BACK: (),
}


@dataclass(frozen=True, slots=True)
class World:
    """A rollout, seen at NOW, and what each device it reached has shown."""

    rollout: Rollout
    shown: tuple[str, ...]

    @property
    def progress(self) -> Progress:
        """What the engine counts."""
        count = Counter(self.shown)
        if self.rollout.status is Status.ROLLING_BACK:
            return Progress(returning=self.rollout.reached - count[UNTAKEN] - count[BACK] - count[GONE])
        return Progress(
            untaken=count[UNTAKEN], waiting=count[WAITING], soaking=count[SOAKING], good=count[GOOD], withdrawn=count[GONE],
            bad=count[FAILED] + count[LATE] + count[ACCEPTED], accepted=count[ACCEPTED],
        )  # fmt: skip

    def after(self, move: Move) -> "World":
        """The world once a move is made: whoever it reaches has shown nothing yet."""
        rollout = move.result
        judged = {FAILED: ACCEPTED, LATE: ACCEPTED} if move.event is EventType.ROLLOUT_RESUMED else {}
        shown = tuple(judged.get(one, one) for one in self.shown) + (UNTAKEN,) * (rollout.reached - len(self.shown))
        return World(_plain(rollout), tuple(sorted(shown)))

    def later(self) -> "World":
        """A minute later."""
        rollout = self.rollout
        aged = replace(
            rollout,
            frontier_at=rollout.frontier_at and max(rollout.frontier_at - MINUTE, NOW - MINUTE),
            settled_at=rollout.settled_at and max(rollout.settled_at - MINUTE, NOW - MINUTE),
            moved_at=max(rollout.moved_at - MINUTE, NOW - MINUTE),
        )
        shown = self.shown if rollout.status.is_final else tuple(sorted(AFTER_A_MINUTE.get(one, one) for one in self.shown))
        return World(_plain(aged), shown)

    def reports(self) -> Iterator["World"]:
        """Every world that one report leads to."""
        for position, one in enumerate(self.shown):
            if position and self.shown[position - 1] == one:
                continue
            back = (BACK,) if self.rollout.status is Status.ROLLING_BACK and one not in (UNTAKEN, BACK, GONE) else ()
            gone = (GONE,) if LEAVES and one != GONE and GONE not in self.shown else ()
            for says in (*MAY_REPORT[one], *back, *gone):
                yield World(self.rollout, tuple(sorted((*self.shown[:position], says, *self.shown[position + 1 :]))))

    def joined(self) -> Iterator["World"]:
        """One more device, at the end of the queue."""
        if self.rollout.status in (Status.IN_PROGRESS, Status.PAUSED) and self.rollout.size < SIZE + JOINERS:
            yield World(replace(self.rollout, size=self.rollout.size + 1), self.shown)


def _plain(rollout: Rollout) -> Rollout:
    """Without what grows for ever and decides nothing; a pause's start matters only while it lasts."""
    moved_at = rollout.moved_at if rollout.status is Status.PAUSED else NOW
    return replace(
        rollout, revision=0, reason=None, started_at=None, finished_at=None, moved_at=moved_at, failures_accepted_at=None,
        frontier_at=rollout.frontier_at and max(rollout.frontier_at, NOW - MINUTE),
        settled_at=rollout.settled_at and max(rollout.settled_at, NOW - MINUTE),
    )  # fmt: skip


def _beginning(*, auto_rollback: bool, starts_by_itself: bool) -> World:
    plan = Plan(
        shares=(10, 50, 100), delay=MINUTE, soak=MINUTE, pickup=MINUTE, deadline=MINUTE, max_failure_rate=0.34, min_outcomes=2,
        health_check_enabled=True, auto_rollback_enabled=auto_rollback, starts_by_itself=starts_by_itself,
    )  # fmt: skip
    rollout = Rollout(
        id=RolloutId(1), policy_id=PolicyId(1), image=Image.parse("nginx:2"), plan=plan, fleet=None, except_fleets=(), by_hand=False,
        status=Status.ENROLLING, stages=(), stage=-1, size=0, frontier=0, reached=0, revision=0, frontier_at=None, settled_at=None,
        failures_accepted_at=None, reason=None, created_at=NOW, moved_at=NOW, started_at=None, finished_at=None,
    )  # fmt: skip
    return World(_plain(enrolled(rollout, SIZE, NOW).result), ())


def _asked(world: World) -> Iterator[Move]:
    for request in Request:
        try:
            yield ask(world.rollout, request, NOW)
        except IllegalMove:
            continue


def _next(world: World) -> Iterator[World]:
    yield world.later()
    yield from world.reports()
    yield from world.joined()
    if move := decide(world.rollout, world.progress, NOW):
        yield world.after(move)
    for move in _asked(world):
        yield world.after(move)


def _walk(beginning: World) -> set[World]:
    seen, ahead = {beginning}, [beginning]
    while ahead:
        for world in _next(ahead.pop()):
            if world not in seen:
                seen.add(world)
                ahead.append(world)
    return seen


@pytest.fixture(scope="module", params=["rolls back", "pauses", "is left"])
def worlds(request: pytest.FixtureRequest) -> Iterator[set[World]]:
    """With devices that join; without, but with ones that leave, so that each walk stays small."""
    global JOINERS, LEAVES
    JOINERS, LEAVES = (0, True) if request.param == "is left" else (1, False)
    yield _walk(_beginning(auto_rollback=request.param != "pauses", starts_by_itself=False))
    JOINERS, LEAVES = 1, False


def _moves(worlds: set[World]) -> Iterator[tuple[World, Move]]:
    for world in worlds:
        if move := decide(world.rollout, world.progress, NOW):
            yield world, move


def _rate(world: World) -> float:
    """The failure rate, but for what an operator accepted."""
    bad = world.progress.bad - world.progress.accepted
    return bad / (bad + world.progress.good + world.progress.soaking) if bad else 0.0


def test_the_walk_meets_every_status_and_every_stage(worlds: set[World]) -> None:
    assert {world.rollout.status for world in worlds} == set(Status) - {Status.ENROLLING}
    assert {world.rollout.stage for world in worlds} == {-1, 0, 1, 2}
    assert len(worlds) > 2000


def test_final_is_final(worlds: set[World]) -> None:
    for world in worlds:
        if world.rollout.status.is_final:
            assert decide(world.rollout, world.progress, NOW) is None
            assert not list(_asked(world))


def test_a_frontier_stays_within_what_was_ever_reached_and_that_within_the_fleet(worlds: set[World]) -> None:
    for world in worlds:
        assert 0 <= world.rollout.frontier <= world.rollout.reached <= world.rollout.size


def test_a_rollout_on_its_way_back_offers_its_image_to_nobody(worlds: set[World]) -> None:
    for world in worlds:
        if world.rollout.status in (Status.ROLLING_BACK, Status.ROLLED_BACK):
            assert world.rollout.frontier == 0


def test_the_frontier_rises_only_when_nobody_is_still_expected_to_answer(worlds: set[World]) -> None:
    for world, move in _moves(worlds):
        if move.result.frontier > world.rollout.frontier > 0:
            assert world.progress.waiting == world.progress.soaking == 0
            assert not world.progress.untaken or world.rollout.frontier_at == NOW - MINUTE


def test_the_frontier_never_rises_over_too_many_failures_unless_an_operator_accepted_them(worlds: set[World]) -> None:
    for world, move in _moves(worlds):
        if move.result.frontier > world.rollout.frontier:
            assert _rate(world) <= 0.34


def test_a_stage_opens_only_after_the_delay_of_the_one_before(worlds: set[World]) -> None:
    for world, move in _moves(worlds):
        if move.result.stage > max(world.rollout.stage, 0):
            assert world.rollout.settled_at == NOW - MINUTE


def test_no_batch_is_empty(worlds: set[World]) -> None:
    for world, move in _moves(worlds):
        if move.event is EventType.BATCH_STARTED:
            assert move.result.frontier > world.rollout.frontier


def test_a_batch_completes_only_with_as_many_answers_as_planned_or_with_everybody_offered_it(worlds: set[World]) -> None:
    for world, move in _moves(worlds):
        if move.event is EventType.BATCH_COMPLETED:
            planned = world.rollout.stages[world.rollout.stage]
            answered = world.progress.good + world.progress.bad
            assert answered >= planned or world.rollout.frontier == world.rollout.size


def test_a_rollout_completes_only_when_everybody_was_offered_it_and_somebody_proved_it(worlds: set[World]) -> None:
    for world, move in _moves(worlds):
        if move.result.status is Status.COMPLETED:
            assert world.rollout.frontier == world.rollout.size
            assert world.progress.outcomes or not world.progress.untaken
            assert world.progress.waiting == world.progress.soaking == 0


def test_too_many_failures_stop_it_in_the_way_the_policy_says(worlds: set[World]) -> None:
    for world in worlds:
        silent = not world.progress.untaken or world.rollout.frontier_at == NOW - MINUTE
        decided = silent and world.progress.waiting == world.progress.soaking == 0
        enough = decided or world.progress.outcomes >= 2
        if world.rollout.status is Status.IN_PROGRESS and world.rollout.stage >= 0 and enough and _rate(world) > 0.34:
            move = decide(world.rollout, world.progress, NOW)
            assert move is not None
            assert move.result.status is (Status.ROLLING_BACK if world.rollout.plan.auto_rollback_enabled else Status.PAUSED)


def test_one_early_failure_does_not_stop_a_batch_that_is_still_answering(worlds: set[World]) -> None:
    for world, move in _moves(worlds):
        if world.progress.outcomes < 2 and world.progress.waiting + world.progress.soaking:
            assert move.result.status not in (Status.ROLLING_BACK, Status.PAUSED)


def test_a_rollback_ends_when_everybody_is_back_or_the_deadline_is_over(worlds: set[World]) -> None:
    for world in worlds:
        if world.rollout.status is Status.ROLLING_BACK:
            over = world.progress.returning == 0 or world.rollout.frontier_at == NOW - MINUTE
            assert (decide(world.rollout, world.progress, NOW) is not None) == over


def test_a_pause_offers_nobody_anything_and_takes_nothing_away(worlds: set[World]) -> None:
    for world in worlds:
        if world.rollout.status is Status.PAUSED:
            assert decide(world.rollout, world.progress, NOW) is None
        for move in _asked(world):
            if move.event in (EventType.ROLLOUT_PAUSED, EventType.ROLLOUT_RESUMED, EventType.ROLLOUT_CANCELLED):
                assert move.result.frontier == world.rollout.frontier


def test_a_pause_stops_the_clocks_of_the_batch(worlds: set[World]) -> None:
    for world in worlds:
        for move in _asked(world):
            if move.event is EventType.ROLLOUT_RESUMED and world.rollout.frontier_at is not None:
                assert move.result.frontier_at == world.rollout.frontier_at + (NOW - world.rollout.moved_at)


def test_every_move_counts_one_and_names_what_it_was_decided_on(worlds: set[World]) -> None:
    for world, move in _moves(worlds):
        assert move.before is world.rollout
        assert move.result.revision == world.rollout.revision + 1


def test_deciding_comes_to_rest(worlds: set[World]) -> None:
    for world in worlds:
        steps = 0
        while move := decide(world.rollout, world.progress, NOW):
            world, steps = world.after(move), steps + 1
            assert steps <= 4


def test_a_rollout_whose_devices_all_answer_ends(worlds: set[World]) -> None:
    ends: set[World] = set()
    for world in worlds:
        path: list[World] = []
        while world not in ends and world.rollout.status in (Status.IN_PROGRESS, Status.ROLLING_BACK):
            path.append(world)
            assert len(path) <= 30
            world = _answered(world)
        ends.update(path)


def _answered(world: World) -> World:
    """What becomes of it next when every device runs what it was told and nobody interferes."""
    well = BACK if world.rollout.status is Status.ROLLING_BACK else GOOD
    keeps = (FAILED, LATE, ACCEPTED, BACK, GOOD, GONE) if well is GOOD else (UNTAKEN, BACK, GONE)
    world = World(world.rollout, tuple(sorted(one if one in keeps else well for one in world.shown)))
    move = decide(world.rollout, world.progress, NOW)
    return world.after(move) if move else world.later()


def test_an_offline_device_holds_nobody_up() -> None:
    """The first in rank never polls; everybody else answers."""
    world = _beginning(auto_rollback=True, starts_by_itself=True)
    for _ in range(40):
        first = world.shown.count(UNTAKEN) and 1
        rest = [GOOD if one in (UNTAKEN, SOAKING) else one for one in sorted(world.shown, key=lambda one: one != UNTAKEN)[first:]]
        world = World(world.rollout, tuple(sorted([UNTAKEN] * first + rest)))
        move = decide(world.rollout, world.progress, NOW)
        world = world.after(move) if move else world.later()

    assert world.rollout.status is Status.COMPLETED
    assert world.shown.count(UNTAKEN) == 1


def test_stages_only_ever_rise() -> None:
    assert all(a < b for a, b in pairwise(stages((10, 50, 100), SIZE)))
