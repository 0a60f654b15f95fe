"""Every state that a small rollout can reach, by any report, request, or passing of time, walked against the laws of the engine.

Devices of a batch are alike to the engine, so a world is a rollout and a bag of what the devices of each batch have shown. All
clocks of the plan are one minute, so an age is 0 or 1: not yet, or over. Each kind of plan is walked on its own, so that each
walk stays small; what they have in common is held against all of them.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from domain.decisions import decide
from domain.errors import Conflict, IllegalMove
from domain.events import EventType
from domain.health import Outcome
from domain.ids import PolicyId, RolloutId
from domain.images import Image
from domain.plans import sizes
from domain.progress import Count, Progress
from domain.requests import LEGAL, Request, ask
from domain.rollouts import ROLLBACK_WINDOW, Move, Rollout, enrolled, joined
from domain.settings import settings
from domain.statuses import DeviceStatus, Status
from domain.waits import On, Wait

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SIZE, LIMIT = 3, 0.34

# What a device that was reached has shown: its status to the engine, and what tells it from others in that status.
UNTAKEN, SILENT, WAITING, LATE, SOAKING, GOOD, FAILED, REFUSED, ACCEPTED, RETRYING, GONE, RETURNING, BACK = (
    "untaken", "silent", "waiting", "late", "soaking", "good", "failed", "refused", "accepted", "retrying", "gone", "returning", "back",
)  # fmt: skip
STATUS = {
    UNTAKEN: DeviceStatus.SCHEDULED, SILENT: DeviceStatus.SCHEDULED, WAITING: DeviceStatus.UPDATING, LATE: DeviceStatus.TIMED_OUT,
    SOAKING: DeviceStatus.UPDATED, GOOD: DeviceStatus.HEALTHY, FAILED: DeviceStatus.FAILED, REFUSED: DeviceStatus.REFUSED,
    ACCEPTED: DeviceStatus.FAILED, RETRYING: DeviceStatus.RETRYING, GONE: DeviceStatus.SKIPPED, RETURNING: DeviceStatus.ROLLING_BACK,
    BACK: DeviceStatus.ROLLED_BACK,
}  # fmt: skip
AFTER_A_MINUTE = {UNTAKEN: SILENT, WAITING: LATE, SOAKING: GOOD, RETRYING: UNTAKEN}
MAY_REPORT = {
    UNTAKEN: (WAITING, SOAKING, FAILED),
    SILENT: (WAITING, SOAKING),
    WAITING: (SOAKING, FAILED),
    LATE: (SOAKING,),
    SOAKING: (FAILED, WAITING),
    GOOD: (FAILED,),
    FAILED: (SOAKING,),
    REFUSED: (SOAKING,),
    ACCEPTED: (SOAKING,),
    RETURNING: (BACK,),
}
BAD, EXPECTED = (FAILED, REFUSED, LATE), (UNTAKEN, WAITING, SOAKING, RETRYING)
TAKEN_BACK = {UNTAKEN: BACK, SILENT: BACK, BACK: BACK, GONE: GONE}

Shown = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class World:
    """A rollout, seen at NOW, and what the devices of each batch it reached have shown."""

    rollout: Rollout
    shown: tuple[Shown, ...]

    @property
    def everybody(self) -> Counter[str]:
        return Counter(one for batch in self.shown for one in batch)

    @property
    def progress(self) -> Progress:
        """What the engine counts."""
        counts = [
            Count(STATUS[one], None, devices, number == self.rollout.stage, one == SILENT, one == ACCEPTED)
            for number, batch in enumerate(self.shown)
            for one, devices in Counter(batch).items()
        ]
        return Progress.of(counts, health_check_enabled=True)

    def after(self, move: Move) -> "World":
        """The world once a move is made: whoever it reaches has shown nothing yet, whoever it lets go of is on the way back."""
        rollout, shown = move.result, list(self.shown)
        while len(shown) <= rollout.stage:
            shown.append(())
        if rollout.reached > (had := sum(map(len, shown))):
            shown[rollout.stage] += (UNTAKEN,) * (rollout.reached - had)
        if move.event is EventType.ROLLOUT_RESUMED:
            shown = [tuple(ACCEPTED if one in BAD else one for one in batch) for batch in shown]
        if move.event is EventType.ROLLOUT_RETRIED:
            shown = [tuple(UNTAKEN if one in (*BAD, ACCEPTED) else one for one in batch) for batch in shown]
        return World(_plain(rollout), _sorted(_taken_back(rollout, shown)))

    def later(self) -> "World":
        """A minute later."""
        moments = ("frontier_at", "paced_at", "settled_at", "created_at")
        aged = replace(self.rollout, **{name: _aged(getattr(self.rollout, name)) for name in moments})  # type: ignore[arg-type]
        if self.rollout.status.is_final:
            return World(_plain(aged), self.shown)
        return World(_plain(aged), _sorted([tuple(AFTER_A_MINUTE.get(one, one) for one in batch) for batch in self.shown]))

    def reports(self, kind: "Kind") -> Iterator["World"]:
        """Every world that one report leads to."""
        for number, batch in enumerate(self.shown):
            for one in set(batch):
                for says in (*kind.may_report(one), *((GONE,) if kind.leaves and not self.everybody[GONE] else ())):
                    rest = list(batch)
                    rest.remove(one)
                    yield World(self.rollout, _sorted([*self.shown[:number], (*rest, says), *self.shown[number + 1 :]]))


def _aged(moment: datetime | None) -> datetime | None:
    return moment and max(moment - MINUTE, NOW - MINUTE)


def _sorted(batches: list[Shown]) -> tuple[Shown, ...]:
    return tuple(tuple(sorted(batch)) for batch in batches)


def _taken_back(rollout: Rollout, shown: list[Shown]) -> list[Shown]:
    """Those at the frontier and beyond had the image taken back; whole batches, since a rollback stops only between two."""
    if rollout.status not in (Status.ROLLING_BACK, Status.ROLLED_BACK):
        return shown
    starts = (0, *rollout.ends)
    return [
        tuple(TAKEN_BACK.get(one, RETURNING) for one in batch) if starts[number] >= rollout.frontier else batch
        for number, batch in enumerate(shown)
    ]


def _plain(rollout: Rollout) -> Rollout:
    """Without what grows for ever and what decides nothing where it is; ages beyond a minute are alike."""
    is_undecided = rollout.status is Status.PENDING and rollout.plan.approval_deadline is not None
    return replace(
        rollout, revision=0, reason=None, moved_at=NOW, started_at=None, finished_at=rollout.finished_at and NOW, failures_accepted_at=None,
        created_at=rollout.created_at if is_undecided else NOW,
        frontier_at=rollout.frontier_at if rollout.status is Status.ROLLING_BACK else NOW,
        paced_at=rollout.paced_at if rollout.plan.pace.per_minute else NOW,
    )  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A plan, and what may happen to devices under it."""

    name: str
    policy: dict[str, Any]
    size: int = SIZE
    joins: bool = False
    leaves: bool = False
    fails_as: str = FAILED
    retries: bool = False
    asks: tuple[Request, ...] = (Request.START, Request.PAUSE, Request.RESUME, Request.CANCEL, Request.ROLL_BACK, Request.SUPERSEDE)

    def may_report(self, one: str) -> tuple[str, ...]:
        fails = RETRYING if self.retries and one in (UNTAKEN, WAITING) else self.fails_as
        return tuple(fails if says == FAILED else says for says in MAY_REPORT.get(one, ()))


KINDS = [
    Kind("rolls back", {}),
    Kind("pauses", {"auto_rollback_enabled": False}),
    Kind("is joined", {}, size=2, joins=True),
    Kind("is left", {}, leaves=True),
    Kind("waits for approval", {"approvals": 2, "approval_deadline_minutes": 1}, asks=(Request.APPROVE, Request.REJECT)),
    Kind(
        "is promoted by hand",
        {"stages": [{"share_percent": 10, "manual_promotion": True}, {"share_percent": 100}], "watch_minutes": 1},
        asks=(Request.START, Request.PROMOTE, Request.ROLL_BACK),
    ),
    Kind("two at once", {"pace": {"max_in_flight": 2}, "update_strategy": "auto"}),
    Kind("one a minute", {"pace": {"devices_per_minute": 1}, "update_strategy": "auto"}),
    Kind("failed batch first", {"rollback_mode": "failed_batch_first"}),
    Kind("stops on proof", {"stop_confidence": 0.95}),
    Kind("minds refusals", {"max_rates": {"refused": 0.1}}, fails_as=REFUSED),
    Kind("tries again", {"retries": {"failed": 1}}, retries=True, asks=(Request.START, Request.RETRY, Request.PAUSE, Request.RESUME)),
]


def _beginning(kind: Kind) -> World:
    clocks = dict.fromkeys(("batch_delay_minutes", "soak_minutes", "pickup_minutes", "deadline_minutes"), 1)
    policy = settings(
        {"image_pattern": "nginx", "update_strategy": "manual", "max_failure_rate": LIMIT, "min_outcomes": 2} | clocks | kind.policy
    )
    rollout = Rollout(
        id=RolloutId(1), policy_id=PolicyId(1), image=Image.parse("nginx:2"), also=(), plan=policy.plan(), fleet=None, except_fleets=(),
        by_hand=False, status=Status.ENROLLING, stages=(), canaries=(), ends=(), stage=-1, size=0, frontier=0, reached=0, zones=(),
        revision=0,
        frontier_at=None, paced_at=None, settled_at=None, answered_at=None, promoted=-1, approved_by=(),
        failures_accepted_at=None, reason=None, created_at=NOW, moved_at=NOW, started_at=None, finished_at=None,
    )  # fmt: skip
    return World(_plain(enrolled(rollout, kind.size, (), (), NOW).result), ())


def _asked(world: World, kind: "Kind | None" = None) -> Iterator[Move]:
    for request in Request:
        if world.rollout.status not in LEGAL[request][0] or (kind and request not in kind.asks):
            continue
        decided_on = world.rollout.checksum if request in (Request.APPROVE, Request.REJECT) else None
        for actor in ("ann", "bob") if request is Request.APPROVE else ("ann",):
            with suppress(IllegalMove, Conflict):
                yield ask(world.rollout, request, NOW, actor=actor, decided_on=decided_on)


def _next(world: World, kind: Kind) -> Iterator[World]:
    for move in _asked(world, kind):
        yield world.after(move)
    if world.rollout.status.is_final:  # what devices say then is another test's
        return
    yield world.later()
    yield from world.reports(kind)
    if kind.joins and world.rollout.status in (Status.IN_PROGRESS, Status.PAUSED) and world.rollout.size == kind.size:
        yield world.after(joined(world.rollout, 1, (), NOW))
    if isinstance(step := decide(world.rollout, world.progress, NOW), Move):
        yield world.after(step)


@dataclass(frozen=True)
class Walk:
    """Every world that can be reached under a kind of plan, with what the engine decides in it."""

    kind: Kind
    steps: dict[World, Move | Wait]

    def moves(self) -> Iterator[tuple[World, Move]]:
        return ((world, step) for world, step in self.steps.items() if isinstance(step, Move))

    def waits(self) -> Iterator[tuple[World, Wait]]:
        return ((world, step) for world, step in self.steps.items() if isinstance(step, Wait))


def _walk(kind: Kind) -> Walk:
    ahead = [_beginning(kind)]
    steps = {ahead[0]: decide(ahead[0].rollout, ahead[0].progress, NOW)}
    while ahead:
        for world in _next(ahead.pop(), kind):
            if world not in steps:
                steps[world] = decide(world.rollout, world.progress, NOW)
                ahead.append(world)
    return Walk(kind, steps)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def walk(request: pytest.FixtureRequest) -> Walk:
    """One walk for each kind of plan."""
    return _walk(request.param)


def _rate(shown: Counter[str]) -> float:
    """The failure rate, but for what an operator accepted."""
    bad = sum(shown[one] for one in BAD)
    return bad / (bad + shown[GOOD] + shown[SOAKING]) if bad else 0.0


def test_the_walk_meets_every_stage_and_every_status_that_can_come(walk: Walk) -> None:
    met = {world.rollout.status for world in walk.steps}
    asked = {becomes for request in walk.kind.asks if (becomes := LEGAL[request][1])}
    by_itself = {Status.PENDING, Status.IN_PROGRESS, Status.COMPLETED, Status.ROLLED_BACK if Status.ROLLING_BACK in met else Status.PAUSED}
    assert met >= asked | by_itself
    assert {world.rollout.stage for world in walk.steps} == set(range(-1, max(len(world.rollout.stages) for world in walk.steps)))
    assert len(walk.steps) > 500


def test_final_is_final_but_a_completed_rollout_can_be_taken_back(walk: Walk) -> None:
    for world, step in walk.steps.items():
        if world.rollout.status.is_final:
            assert isinstance(step, Wait)
            may = {Status.ROLLING_BACK} if world.rollout.status is Status.COMPLETED else set()
            assert {move.result.status for move in _asked(world)} == may


def test_a_frontier_stays_within_what_was_ever_reached_and_that_within_the_fleet(walk: Walk) -> None:
    for world in walk.steps:
        assert 0 <= world.rollout.frontier <= world.rollout.reached <= world.rollout.size
        assert all(a <= b for a, b in pairwise((0, *world.rollout.ends, world.rollout.reached)))


def test_a_rollback_never_offers_the_image_to_anybody_again(walk: Walk) -> None:
    for world, move in walk.moves():
        if world.rollout.status is Status.ROLLING_BACK:
            assert move.result.frontier <= world.rollout.frontier
    assert all(world.rollout.frontier == 0 for world in walk.steps if world.rollout.status is Status.ROLLED_BACK)


def test_the_next_stage_opens_only_when_nobody_is_still_expected_to_answer(walk: Walk) -> None:
    for world, move in walk.moves():
        if move.event is EventType.BATCH_STARTED:
            assert not any(world.everybody[one] for one in EXPECTED)


def test_within_a_stage_only_the_silent_and_those_who_left_are_replaced(walk: Walk) -> None:
    for world, move in walk.moves():
        if move.event is EventType.BATCH_WIDENED and move.result.stage + 1 < len(move.result.stages):
            spare = world.everybody[SILENT] + world.everybody[GONE] + world.everybody[BACK] + world.everybody[RETURNING]
            assert move.result.frontier <= move.result.stages[move.result.stage] + spare


def test_the_frontier_never_rises_over_too_many_failures_unless_an_operator_accepted_them(walk: Walk) -> None:
    for world, move in walk.moves():
        if move.event is EventType.BATCH_STARTED and walk.kind.name != "stops on proof":
            assert _rate(world.everybody) <= LIMIT


def test_a_stage_opens_after_the_delay_of_the_one_before_or_when_an_operator_says_so(walk: Walk) -> None:
    for world, move in walk.moves():
        if move.event is EventType.BATCH_STARTED and move.result.stage > 0:
            assert world.rollout.settled_at is not None
            assert world.rollout.promoted == world.rollout.stage or world.rollout.settled_at == NOW - MINUTE
            by_hand = world.rollout.open_stage.is_promoted_by_hand
            assert world.rollout.promoted == world.rollout.stage or not by_hand


def test_no_batch_is_empty(walk: Walk) -> None:
    for world, move in walk.moves():
        if move.event in (EventType.BATCH_STARTED, EventType.BATCH_WIDENED):
            assert move.result.frontier > world.rollout.frontier


def test_a_batch_completes_only_with_as_many_answers_as_planned_or_with_everybody_offered_it(walk: Walk) -> None:
    for world, move in walk.moves():
        if move.event is EventType.BATCH_COMPLETED:
            planned = world.rollout.stages[world.rollout.stage]
            answered = sum(world.everybody[one] for one in (GOOD, ACCEPTED, *BAD))
            assert answered >= planned or world.rollout.frontier == world.rollout.size


def test_a_rollout_completes_only_when_everybody_was_offered_it_and_somebody_has_answered(walk: Walk) -> None:
    for world, move in walk.moves():
        if move.result.status is Status.COMPLETED:
            shown = world.everybody
            assert world.rollout.frontier == world.rollout.size
            assert not shown[SILENT] or any(shown[one] for one in (GOOD, ACCEPTED, *BAD))
            assert not any(shown[one] for one in EXPECTED)
            watched = walk.kind.policy.get("watch_minutes", 0)
            assert not watched or world.rollout.settled_at == NOW - MINUTE


def test_too_many_failures_stop_it_in_the_way_the_policy_says(walk: Walk) -> None:
    for world, step in walk.steps.items():
        if world.rollout.status is Status.IN_PROGRESS and world.rollout.stage >= 0 and _must_stop(world):
            assert isinstance(step, Move)
            assert step.result.status is (Status.ROLLING_BACK if world.rollout.plan.auto_rollback_enabled else Status.PAUSED)


def _must_stop(world: World) -> bool:
    """Whether too many failed by the fixed rule; where proof is asked for instead, at the end of a batch, and not for one alone."""
    shown = world.everybody
    outcomes = sum(shown[one] for one in (SOAKING, GOOD, *BAD))
    is_over = not any(shown[one] for one in EXPECTED)
    if world.rollout.plan.limits.confidence:
        return is_over and _rate(shown) > LIMIT and (outcomes == 1 or sum(shown[one] for one in BAD) > 1)
    return (is_over or outcomes >= 2) and _rate(shown) > LIMIT


def test_one_early_failure_does_not_stop_a_batch_that_is_still_answering(walk: Walk) -> None:
    for world, move in walk.moves():
        shown = world.everybody
        if sum(shown[one] for one in (SOAKING, GOOD, *BAD)) < 2 and any(shown[one] for one in EXPECTED):
            assert world.rollout.status is not Status.IN_PROGRESS or move.result.status not in (Status.ROLLING_BACK, Status.PAUSED)


def test_a_kind_of_failure_with_a_limit_of_its_own_stops_it_earlier() -> None:
    for world, step in _walk(next(kind for kind in KINDS if kind.name == "minds refusals")).steps.items():
        if world.rollout.status is Status.IN_PROGRESS and world.everybody[REFUSED] and not any(world.everybody[one] for one in EXPECTED):
            assert isinstance(step, Move)
            assert step.result.status is Status.ROLLING_BACK


def test_no_more_are_on_their_way_than_the_plan_allows() -> None:
    walk = _walk(next(kind for kind in KINDS if kind.name == "two at once"))
    for world, move in walk.moves():
        if move.result.frontier > world.rollout.frontier:
            on_their_way = sum(world.everybody[one] for one in EXPECTED)
            assert on_their_way + move.result.frontier - world.rollout.frontier <= 2
    assert max(world.rollout.frontier for world in walk.steps) == SIZE


def test_no_more_are_let_in_a_minute_than_the_plan_allows() -> None:
    walk = _walk(next(kind for kind in KINDS if kind.name == "one a minute"))
    for world, move in walk.moves():
        if move.result.frontier > world.rollout.frontier:
            assert move.result.frontier == world.rollout.frontier + 1
            assert world.rollout.frontier == 0 or world.rollout.paced_at == NOW - MINUTE
    assert max(world.rollout.frontier for world in walk.steps) == SIZE


def test_nothing_starts_without_the_approvals_it_needs_and_undecided_it_ends() -> None:
    walk = _walk(next(kind for kind in KINDS if kind.name == "waits for approval"))
    for world in walk.steps:
        assert len(set(world.rollout.approved_by)) == len(world.rollout.approved_by)
        if world.rollout.stage >= 0:
            assert len(world.rollout.approved_by) == 2
    for world, step in walk.steps.items():
        if world.rollout.status is Status.PENDING and len(world.rollout.approved_by) < 2 and world.rollout.created_at < NOW:
            assert isinstance(step, Move)
            assert step.result.status is Status.CANCELLED


def test_a_rollback_ends_when_everybody_is_back_or_the_deadline_is_over(walk: Walk) -> None:
    for world, step in walk.steps.items():
        if world.rollout.status is Status.ROLLING_BACK:
            over = world.everybody[RETURNING] == 0 or world.rollout.frontier_at == NOW - MINUTE
            assert isinstance(step, Move) == over


def test_the_failed_batch_returns_first_and_then_everybody() -> None:
    walk = _walk(next(kind for kind in KINDS if kind.name == "failed batch first"))
    partly = [world for world in walk.steps if world.rollout.status is Status.ROLLING_BACK and world.rollout.frontier]
    assert partly
    for world in partly:
        assert world.rollout.frontier == world.rollout.ends[-1]
        assert not {RETURNING, BACK} & {one for batch in world.shown[: world.rollout.stage] for one in batch}


def test_a_pause_offers_nobody_anything_and_takes_nothing_away(walk: Walk) -> None:
    for world, step in walk.steps.items():
        if world.rollout.status is Status.PAUSED:
            assert isinstance(step, Wait)
        for move in _asked(world):
            if move.event in (EventType.ROLLOUT_PAUSED, EventType.ROLLOUT_RESUMED, EventType.ROLLOUT_CANCELLED):
                assert move.result.frontier == world.rollout.frontier


def test_every_move_counts_one_and_names_what_it_was_decided_on(walk: Walk) -> None:
    for world, move in walk.moves():
        assert move.before is world.rollout
        assert move.result.revision == world.rollout.revision + 1


def test_deciding_comes_to_rest(walk: Walk) -> None:
    for world in walk.steps:
        steps = 0
        while isinstance(move := decide(world.rollout, world.progress, NOW), Move):
            world, steps = world.after(move), steps + 1
            assert steps <= 4


def test_a_rollout_whose_devices_all_answer_ends(walk: Walk) -> None:
    ends: set[World] = set()
    for world in walk.steps:
        path: list[World] = []
        while world not in ends and world.rollout.status in (Status.IN_PROGRESS, Status.ROLLING_BACK):
            path.append(world)
            assert len(path) <= 40
            world = _answered(world)
        ends.update(path)


def _answered(world: World) -> World:
    """What becomes of it next when every device does what it was told, and an operator promotes what waits for one."""
    obeyed = {RETURNING: BACK} | dict.fromkeys((UNTAKEN, SILENT, WAITING, SOAKING, RETRYING), GOOD)
    world = World(world.rollout, _sorted([tuple(obeyed.get(one, one) for one in batch) for batch in world.shown]))
    step = decide(world.rollout, world.progress, NOW)
    if isinstance(step, Wait) and step.on is On.OPERATOR:
        return world.after(ask(world.rollout, Request.PROMOTE, NOW))
    return world.after(step) if isinstance(step, Move) else world.later()


def test_every_wait_names_what_ends_it_and_that_does(walk: Walk) -> None:
    """The stuck-rollout hunt: in no state does a rollout wait for something that would not move it."""
    for world, wait in walk.waits():
        assert wait.sentence
        if wait.on is On.NOTHING:
            assert world.rollout.status.is_final
        elif wait.on is On.TIME:
            assert wait.until is not None
            assert NOW < wait.until <= NOW + MINUTE
            assert isinstance(decide(world.rollout, world.progress, wait.until), Move)
        elif wait.on is On.OPERATOR:
            assert list(_asked(world))
        elif wait.on is On.APPROVAL:
            assert any(move.event is EventType.ROLLOUT_APPROVED for move in _asked(world))
        else:
            assert wait.on is On.DEVICES
            assert _devices_end_it(world, wait), world


def _devices_end_it(world: World, wait: Wait) -> bool:
    """Whether the devices that are waited for, by what they say or by their silence, make it move, or wait for something else."""
    answers = [World(world.rollout, shown) for shown in _answers(world)]
    return any(decide(after.rollout, after.progress, NOW + MINUTE) != wait for after in answers)


def _answers(world: World) -> Iterator[tuple[Shown, ...]]:
    yield _answered_by(world, {RETURNING: BACK} | dict.fromkeys(EXPECTED, GOOD))
    yield _answered_by(world, {UNTAKEN: SILENT, WAITING: LATE})
    yield _answered_by(world, {SILENT: GOOD} | dict.fromkeys(EXPECTED, GOOD))


def _answered_by(world: World, says: dict[str, str]) -> tuple[Shown, ...]:
    return _sorted([tuple(says.get(one, one) for one in batch) for batch in world.shown])


def test_an_offline_device_holds_nobody_up() -> None:
    """The first in rank never polls; everybody else answers."""
    world = _beginning(KINDS[0])
    world = world.after(ask(world.rollout, Request.START, NOW))
    for _ in range(40):
        shown = [list(batch) for batch in world.shown]
        offline = shown[0].pop() if shown else None
        answered = [[GOOD if one in EXPECTED or one == SILENT else one for one in batch] for batch in shown]
        if offline:
            answered[0].append(SILENT if world.rollout.frontier_at == NOW - MINUTE or offline == SILENT else UNTAKEN)
        world = World(world.rollout, _sorted([tuple(batch) for batch in answered]))
        step = decide(world.rollout, world.progress, NOW)
        world = world.after(step) if isinstance(step, Move) else world.later()

    assert world.rollout.status is Status.COMPLETED
    assert world.everybody == {SILENT: 1, GOOD: SIZE - 1}


def test_what_ended_long_ago_cannot_be_taken_back() -> None:
    for world in _walk(KINDS[0]).steps:
        if world.rollout.status is Status.COMPLETED:
            with pytest.raises(IllegalMove, match="too long ago"):
                ask(world.rollout, Request.ROLL_BACK, NOW + ROLLBACK_WINDOW)


def test_stages_only_ever_rise() -> None:
    plan = settings({"image_pattern": "nginx", "update_strategy": "staged"}).plan()
    assert all(a < b for a, b in pairwise(sizes(plan.stages, SIZE)))


def test_an_outcome_that_is_a_failure_has_a_status_of_its_own() -> None:
    assert {outcome.value for outcome in Outcome if outcome.is_failure} <= set(DeviceStatus)
