"""What the engine decides, in worked examples: a rollout of ten devices at noon, and the move or the wait that follows, word for word."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import pacing
from domain.checks import State, Verdict
from domain.decisions import decide
from domain.errors import BadInput, Conflict, IllegalMove
from domain.events import EventType
from domain.health import Outcome
from domain.ids import PolicyId, RolloutId
from domain.images import Image
from domain.plans import Plan
from domain.progress import Progress, Tally
from domain.requests import LEGAL, Request, ask, replan
from domain.rollouts import ROLLBACK_WINDOW, Move, Rollout, enrolled, joined, lowest, ranks_of
from domain.settings import settings
from domain.statuses import Status
from domain.waits import On, Wait
from domain.zones import Zone

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=3)
MINUTE, INSTANT = timedelta(minutes=1), timedelta(microseconds=1)
CANARY = "7d1f3a52-0c7b-4a58-9a0a-1f0f3f1d2c3b"


def _plan(**policy: Any) -> Plan:
    """Ten devices in batches of 1, 4 and 5; half an hour between them; more than a fifth of at least five answers stops it."""
    return settings({"image_pattern": "nginx", "update_strategy": "staged", **policy}).plan()


def _new(size: int = 10, **policy: Any) -> Rollout:
    """Ranked, and nothing has begun."""
    return Rollout(
        id=RolloutId(1), policy_id=PolicyId(1), image=Image.parse("nginx:2"), also=(), plan=_plan(**policy), fleet=None, except_fleets=(),
        by_hand=False, status=Status.PENDING, stages=(1, 5, 10), canaries=(0, 0, 0), ends=(), stage=-1, size=size, frontier=0, reached=0,
        zones=(), revision=7, frontier_at=None, paced_at=None, settled_at=None, answered_at=None, promoted=-1, approved_by=(),
        failures_accepted_at=None, reason=None, created_at=LONG_AGO, moved_at=LONG_AGO, started_at=None, finished_at=None,
    )  # fmt: skip


def _begun(**policy: Any) -> Rollout:
    """Started; no batch is open yet."""
    return replace(_new(**policy), status=Status.IN_PROGRESS, started_at=LONG_AGO)


def _in_batch(number: int, **policy: Any) -> Rollout:
    """The n-th batch is open, and its devices were let in."""
    begun, frontiers = _begun(**policy), (1, 5, 10)
    return replace(
        begun, stage=number - 1, ends=frontiers[: number - 1], frontier=frontiers[number - 1], reached=frontiers[number - 1],
        frontier_at=NOON - MINUTE, paced_at=NOON - MINUTE,
    )  # fmt: skip


def _settled(number: int, ago: timedelta = timedelta(hours=1), **policy: Any) -> Rollout:
    """The n-th batch has proved itself."""
    return replace(_in_batch(number, **policy), settled_at=NOON - ago)


def _ended(status: Status, ago: timedelta = timedelta(hours=1), **policy: Any) -> Rollout:
    return replace(_settled(3, **policy), status=status, finished_at=NOON - ago)


def _rolling_back(frontier: int = 0, ago: timedelta = MINUTE, **policy: Any) -> Rollout:
    rollout = _in_batch(2, **policy)
    return replace(rollout, status=Status.ROLLING_BACK, frontier=frontier, frontier_at=NOON - ago, reason="the fans howl")


def _move(rollout: Rollout, event: EventType, **becomes: Any) -> Move:
    """This, and nothing else."""
    return Move(event, rollout, replace(rollout, **{"revision": 8, "moved_at": NOON, **becomes}))


def _shown(good: int = 0, *, failed: int = 0, unhealthy: int = 0, refused: int = 0, timed_out: int = 0, **more: Any) -> Progress:
    """What the devices of all batches have shown; the open one is the only one."""
    kinds = {Outcome.FAILED: failed, Outcome.UNHEALTHY: unhealthy, Outcome.REFUSED: refused, Outcome.TIMED_OUT: timed_out}
    tally = Tally(good, {kind: count for kind, count in kinds.items() if count}, more.get("waiting", 0))
    return Progress(**{"good": good, "batch": tally, "total": tally, **more})


NOBODY = Progress()


# Being ranked, and joined


def test_while_its_devices_are_being_ranked_a_rollout_waits_for_the_engine() -> None:
    assert decide(replace(_new(), status=Status.ENROLLING), NOBODY, NOON) == Wait(On.ENGINE, "its devices are being ranked")


def test_once_ranked_it_knows_its_members_its_stages_and_its_time_zones() -> None:
    stages = [{"canaries": [CANARY]}, {"share_percent": 50}, {"share_percent": 100}]
    ranking = replace(_new(size=0, stages=stages), status=Status.ENROLLING, stages=(), canaries=())

    assert enrolled(ranking, 8, [2, 0, 0], ["Europe/Berlin", "Asia/Tokyo"], NOON) == _move(
        ranking, EventType.ROLLOUT_ENROLLED, status=Status.PENDING, size=8, canaries=(2, 0, 0), stages=(2, 4, 8),
        zones=(Zone("Asia/Tokyo", False, NOON, 0), Zone("Europe/Berlin", False, NOON, 0)),
    )  # fmt: skip
    assert enrolled(ranking, 0, [0, 0, 0], [], NOON, "it is for no device: 3 pinned").result.reason == "it is for no device: 3 pinned"


def test_devices_that_join_wait_at_the_end_of_the_queue_and_bring_their_time_zones() -> None:
    berlin = Zone("Europe/Berlin", True, LONG_AGO, 1)
    rollout = replace(_in_batch(1), zones=(berlin,))

    assert joined(rollout, 3, ["Europe/Berlin", "Asia/Tokyo", "Africa/Lagos", "Asia/Tokyo"], NOON) == _move(
        rollout, EventType.ROLLOUT_JOINED, size=13,
        zones=(berlin, Zone("Africa/Lagos", False, NOON, 1), Zone("Asia/Tokyo", False, NOON, 1)),
    )  # fmt: skip


# Before it starts


def test_a_rollout_starts_by_itself() -> None:
    rollout = _new()
    assert decide(rollout, NOBODY, NOON) == _move(rollout, EventType.ROLLOUT_STARTED, status=Status.IN_PROGRESS, started_at=NOON)


def test_without_devices_there_is_nothing_to_do_whatever_the_plan_asks_for() -> None:
    rollout = replace(_new(size=0, approvals=1, schedule={"not_after": NOON}), reason="it is for no device: 3 pinned")
    assert decide(rollout, NOBODY, NOON) == _move(rollout, EventType.ROLLOUT_COMPLETED, status=Status.COMPLETED, finished_at=NOON)
    assert decide(_new(size=1), NOBODY, NOON).__class__ is Move


def test_a_rollout_whose_time_is_over_is_cancelled_before_anybody_is_asked_to_approve_it() -> None:
    rollout = _new(approvals=1, schedule={"not_after": NOON})
    reason = "its time was over: 0 of 10 devices had been offered the image"

    assert decide(rollout, NOBODY, NOON) == _move(
        rollout, EventType.ROLLOUT_CANCELLED, status=Status.CANCELLED, reason=reason, finished_at=NOON
    )
    assert decide(rollout, NOBODY, NOON - INSTANT) == Wait(On.APPROVAL, "it needs 1 more approval")


def test_a_rollout_waits_for_the_approvals_that_are_missing() -> None:
    rollout = _new(approvals=2)
    assert decide(rollout, NOBODY, NOON) == Wait(On.APPROVAL, "it needs 2 more approvals")
    assert decide(replace(rollout, approved_by=("ann",)), NOBODY, NOON) == Wait(On.APPROVAL, "it needs 1 more approval")
    approved = replace(rollout, approved_by=("ann", "bob"))
    assert decide(approved, NOBODY, NOON) == _move(approved, EventType.ROLLOUT_STARTED, status=Status.IN_PROGRESS, started_at=NOON)


def test_approvals_that_come_too_late_are_not_waited_for() -> None:
    rollout = replace(_new(approvals=2, approval_deadline_minutes=90), created_at=NOON - 90 * MINUTE, approved_by=("ann",))
    reason = "nobody decided in time: 1 of 2 approvals were missing"

    assert decide(rollout, NOBODY, NOON - INSTANT) == Wait(On.APPROVAL, "it needs 1 more approval", NOON)
    assert decide(rollout, NOBODY, NOON) == _move(
        rollout, EventType.ROLLOUT_CANCELLED, status=Status.CANCELLED, reason=reason, finished_at=NOON
    )


def test_a_manual_rollout_waits_for_an_operator() -> None:
    assert decide(_new(update_strategy="manual"), NOBODY, NOON) == Wait(On.OPERATOR, "it waits for an operator to start it")


def test_no_operator_is_waited_for_who_would_be_refused() -> None:
    rollout = _new(update_strategy="manual", schedule={"not_before": NOON})
    assert decide(rollout, NOBODY, NOON - INSTANT) == Wait(On.TIME, "it must not start before its time", NOON)
    assert decide(rollout, NOBODY, NOON) == Wait(On.OPERATOR, "it waits for an operator to start it")


def test_a_rollout_does_not_start_before_its_time() -> None:
    rollout = _new(schedule={"not_before": NOON})
    assert decide(rollout, NOBODY, NOON - INSTANT) == Wait(On.TIME, "it must not start before its time", NOON)
    assert decide(rollout, NOBODY, NOON) == _move(rollout, EventType.ROLLOUT_STARTED, status=Status.IN_PROGRESS, started_at=NOON)


# What somebody asks for


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("request_", Request)
def test_what_a_state_does_not_allow_is_refused_in_words(status: Status, request_: Request) -> None:
    rollout = replace(_in_batch(1, approvals=1), status=status)
    if status not in LEGAL[request_][0]:
        with pytest.raises(IllegalMove) as refused:
            ask(rollout, request_, NOON)
        assert str(refused.value) == f"cannot {request_.value} a rollout that is {status.value.replace('_', ' ')}"


def test_an_operator_starts_what_waits_for_one_but_not_without_its_approvals() -> None:
    manual = _new(update_strategy="manual")
    assert ask(manual, Request.START, NOON, "the site is staffed") == _move(
        manual, EventType.ROLLOUT_STARTED, status=Status.IN_PROGRESS, started_at=NOON, reason="the site is staffed"
    )

    for approvals, words in ((1, "1 more approval"), (2, "2 more approvals")):
        with pytest.raises(IllegalMove, match=f"^cannot start it: it needs {words}$"):
            ask(_new(approvals=approvals), Request.START, NOON)
    approved = replace(_new(approvals=1), approved_by=("ann",))
    assert ask(approved, Request.START, NOON).result.status is Status.IN_PROGRESS


def test_nobody_starts_a_rollout_before_its_time() -> None:
    rollout = _new(update_strategy="manual", schedule={"not_before": NOON})
    with pytest.raises(IllegalMove) as refused:
        ask(rollout, Request.START, NOON - INSTANT)
    assert str(refused.value) == "cannot start it before 2026-06-10 12:00 UTC; give the policy another schedule and replan it"
    assert ask(rollout, Request.START, NOON).result.status is Status.IN_PROGRESS


def test_an_approval_counts_its_giver_once_and_only_what_it_was_given_for() -> None:
    rollout = replace(_new(approvals=2), approved_by=("ann",))

    assert ask(rollout, Request.APPROVE, NOON, "tried it", actor="bob", decided_on=rollout.checksum) == _move(
        rollout, EventType.ROLLOUT_APPROVED, approved_by=("ann", "bob"), reason="tried it"
    )
    with pytest.raises(Conflict, match=r"^ann has approved it already; somebody else must$"):
        ask(rollout, Request.APPROVE, NOON, actor="ann", decided_on=rollout.checksum)
    for about in (None, _new(approvals=3).checksum):
        with pytest.raises(Conflict, match=r"^the decision is about another release or plan than the rollout has now: read it again$"):
            ask(rollout, Request.APPROVE, NOON, actor="bob", decided_on=about)


def test_no_more_approvals_are_taken_than_are_needed() -> None:
    none_needed, enough = _new(), replace(_new(approvals=1), approved_by=("ann",))
    with pytest.raises(IllegalMove, match=r"^this rollout needs no approval$"):
        ask(none_needed, Request.APPROVE, NOON, actor="ann", decided_on=none_needed.checksum)
    with pytest.raises(IllegalMove, match=r"^this rollout has all the approvals it needs$"):
        ask(enough, Request.APPROVE, NOON, actor="bob", decided_on=enough.checksum)


def test_a_rejection_names_who_rejected_it_and_why() -> None:
    rollout = _new(approvals=1)
    for why, reason in ((None, "rejected by ann"), ("too big", "rejected by ann: too big")):
        assert ask(rollout, Request.REJECT, NOON, why, actor="ann", decided_on=rollout.checksum) == _move(
            rollout, EventType.ROLLOUT_REJECTED, status=Status.CANCELLED, reason=reason, finished_at=NOON
        )
    with pytest.raises(Conflict, match=r"^the decision is about another"):
        ask(rollout, Request.REJECT, NOON, actor="ann")
    assert ask(rollout, Request.REJECT, NOON, decided_on=rollout.checksum).result.reason == "rejected by "


@pytest.mark.parametrize(
    ("request_", "event", "becomes"),
    [
        (Request.PAUSE, EventType.ROLLOUT_PAUSED, {"status": Status.PAUSED}),
        (Request.RETRY, EventType.ROLLOUT_RETRIED, {}),
        (Request.CANCEL, EventType.ROLLOUT_CANCELLED, {"status": Status.CANCELLED, "finished_at": NOON}),
        (Request.SUPERSEDE, EventType.ROLLOUT_SUPERSEDED, {"status": Status.SUPERSEDED, "finished_at": NOON}),
        (Request.PROMOTE, EventType.BATCH_PROMOTED, {"promoted": 1}),
        (Request.ROLL_BACK, EventType.ROLLBACK_STARTED, {"status": Status.ROLLING_BACK, "frontier": 0, "frontier_at": NOON}),
    ],
)
@pytest.mark.parametrize("reason", [None, "the fans howl"])
def test_what_is_asked_for_is_done_and_nothing_else(request_: Request, event: EventType, becomes: dict[str, Any], reason: str) -> None:
    rollout = replace(_in_batch(2), reason="before")
    assert ask(rollout, request_, NOON, reason) == _move(rollout, event, reason=reason, **becomes)


def test_resuming_accepts_the_failures_so_far_and_makes_the_checks_of_the_batch_anew() -> None:
    rollout = replace(_in_batch(2), status=Status.PAUSED, answered_at=LONG_AGO, reason="2 of 5 devices failed")
    assert ask(rollout, Request.RESUME, NOON, "known") == _move(
        rollout, EventType.ROLLOUT_RESUMED, status=Status.IN_PROGRESS, failures_accepted_at=NOON, answered_at=None, reason="known"
    )


def test_a_batch_is_promoted_once_and_only_when_it_is_open() -> None:
    with pytest.raises(IllegalMove, match=r"^cannot promote a rollout before its first batch has opened$"):
        ask(_begun(), Request.PROMOTE, NOON)
    with pytest.raises(IllegalMove, match=r"^batch 2 is promoted already$"):
        ask(replace(_in_batch(2), promoted=1), Request.PROMOTE, NOON)
    first = _in_batch(1)
    assert ask(first, Request.PROMOTE, NOON) == _move(first, EventType.BATCH_PROMOTED, promoted=0)


def test_who_names_the_batch_to_promote_means_no_other() -> None:
    rollout = _in_batch(2)
    assert ask(rollout, Request.PROMOTE, NOON, batch=2) == _move(rollout, EventType.BATCH_PROMOTED, promoted=1, reason=None)
    for batch in (0, 1, 3):
        with pytest.raises(Conflict) as refused:
            ask(rollout, Request.PROMOTE, NOON, batch=batch)
        assert str(refused.value) == f"batch 2 is open, not {batch}: read it again"


def test_what_has_completed_can_be_taken_back_for_a_month() -> None:
    rollout = _ended(Status.COMPLETED, ROLLBACK_WINDOW)

    assert timedelta(days=30) == ROLLBACK_WINDOW
    move = ask(rollout, Request.ROLL_BACK, NOON - INSTANT, "recalled")
    assert move == Move(
        EventType.ROLLBACK_STARTED, rollout,
        replace(
            rollout, revision=8, moved_at=NOON - INSTANT, status=Status.ROLLING_BACK, frontier=0, frontier_at=NOON - INSTANT,
            finished_at=None, reason="recalled",
        ),
    )  # fmt: skip
    with pytest.raises(IllegalMove) as refused:
        ask(rollout, Request.ROLL_BACK, NOON)
    why = "it ended too long ago to be taken back: create a rollout with the image the devices should return to"
    assert str(refused.value) == why


def test_whoever_asks_for_a_rollback_gets_all_of_it_at_once() -> None:
    assert ask(_in_batch(3, rollback_mode="failed_batch_first"), Request.ROLL_BACK, NOON).result.frontier == 0


# Another plan


def test_as_long_as_nothing_has_begun_there_may_be_another_plan_which_must_be_approved_anew() -> None:
    rollout, plan = replace(_new(approvals=2), approved_by=("ann",)), _plan(approvals=1, staged_batches=2)
    assert replan(rollout, plan, NOON) == _move(rollout, EventType.ROLLOUT_REPLANNED, plan=plan, approved_by=(), stages=(1, 10))


def test_another_plan_keeps_the_canaries_that_were_ranked() -> None:
    stages = [{"canaries": [CANARY]}, {"share_percent": 100}]
    rollout = replace(_new(stages=stages), stages=(2, 10), canaries=(2, 0))
    slower = _plan(stages=[stages[0], {"share_percent": 50}, stages[1]])
    assert replan(rollout, slower, NOON).result.stages == (2, 5, 10)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_what_has_begun_keeps_its_plan(status: Status) -> None:
    with pytest.raises(IllegalMove, match=f"^cannot replan a rollout that is {status.value.replace('_', ' ')}$"):
        replan(replace(_new(), status=status), _plan(), NOON)


NIGHTLY = {"cron": "0 2 * * *", "minutes": 120}


@pytest.mark.parametrize(
    ("was", "becomes", "needs_ranking"),
    [
        ({}, {"batch_delay_minutes": 5}, False),
        ({}, {"stages": [{"canaries": [CANARY]}, {"share_percent": 100}]}, True),
        ({}, {"schedule": {"windows": [NIGHTLY]}}, True),
        ({}, {"schedule": {"windows": [NIGHTLY | {"timezone": "Asia/Tokyo"}]}}, True),
        ({}, {"pace": {"max_in_flight_per_label": {"label": "site"}}}, True),
        ({}, {"pace": {"max_in_flight": 3}}, False),
        ({}, {"schedule": {"timezone": "Asia/Tokyo"}}, False),
        ({"windows": [NIGHTLY]}, {"schedule": {"windows": [NIGHTLY | {"minutes": 60}]}}, False),
        ({"windows": [NIGHTLY]}, {"schedule": {"windows": [NIGHTLY], "timezone": "Asia/Tokyo"}}, True),
        ({"windows": [NIGHTLY]}, {"schedule": {"windows": [NIGHTLY], "timezone_label": "where"}}, True),
        ({"windows": [NIGHTLY]}, {"schedule": {"windows": [NIGHTLY | {"timezone": "Asia/Tokyo"}]}}, True),
        (
            {"windows": [NIGHTLY | {"timezone": "Asia/Tokyo"}]},
            {"schedule": {"windows": [NIGHTLY | {"timezone": "Asia/Seoul"}], "timezone_label": "where", "timezone": "Asia/Tokyo"}}, False,
        ),
    ],
)  # fmt: skip
def test_another_plan_must_not_need_another_ranking(was: dict[str, Any], becomes: dict[str, Any], needs_ranking: bool) -> None:
    rollout = _new(schedule=was)
    if not needs_ranking:
        assert replan(rollout, _plan(**becomes), NOON).result.plan == _plan(**becomes)
        return
    with pytest.raises(Conflict) as refused:
        replan(rollout, _plan(**becomes), NOON)
    why = "the devices were ranked for other canaries, windows or label limits: cancel it and create it again"
    assert str(refused.value) == why


# Batches


def test_the_first_batch_opens_at_once_and_counts_those_who_joined_since() -> None:
    rollout = _begun(size=20)
    assert decide(rollout, NOBODY, NOON) == _move(
        rollout, EventType.BATCH_STARTED, stages=(2, 10, 20), stage=0, frontier=2, reached=2, frontier_at=NOON, paced_at=NOON
    )


def test_the_first_batch_keeps_the_canaries_that_were_ranked() -> None:
    stages = [{"canaries": [CANARY]}, {"share_percent": 100}]
    rollout = replace(_begun(stages=stages), stages=(3, 10), canaries=(3, 0))
    assert decide(rollout, NOBODY, NOON) == _move(
        rollout, EventType.BATCH_STARTED, stage=0, frontier=3, reached=3, frontier_at=NOON, paced_at=NOON
    )


def test_a_rollout_whose_time_is_over_opens_no_batch() -> None:
    reason = "its time was over: {} of 10 devices had been offered the image"
    for rollout, offered in ((_begun(schedule={"not_after": NOON}), 0), (_settled(1, schedule={"not_after": NOON}), 1)):
        assert decide(rollout, _shown(offered), NOON) == _move(
            rollout, EventType.ROLLOUT_CANCELLED, status=Status.CANCELLED, reason=reason.format(offered), finished_at=NOON
        )
        assert decide(rollout, _shown(offered), NOON - INSTANT).__class__ is Move
    one = replace(_begun(schedule={"not_after": NOON}), size=1)
    step = decide(one, NOBODY, NOON)
    assert isinstance(step, Move)
    assert step.result.reason == "its time was over: 0 of 1 device had been offered the image"


def test_it_waits_for_each_device_of_the_batch_to_show_something() -> None:
    progress = Progress(untaken=1, waiting=2, soaking=3, retrying=4, deferred=5)
    words = "1 to poll, 2 to answer, 3 to run it long enough, 4 to be offered it again, 5 for their window"
    assert decide(_in_batch(2), progress, NOON) == Wait(On.DEVICES, f"it waits for devices: {words}")
    for one, what in (
        (Progress(untaken=1), "1 to poll"), (Progress(waiting=1), "1 to answer"), (Progress(retrying=1), "1 to be offered it again"),
    ):  # fmt: skip
        assert decide(_in_batch(2), one, NOON) == Wait(On.DEVICES, f"it waits for devices: {what}")


def test_a_batch_whose_devices_have_all_answered_is_complete() -> None:
    rollout = _in_batch(2)
    assert decide(rollout, _shown(5), NOON) == _move(rollout, EventType.BATCH_COMPLETED, settled_at=NOON)


def test_the_next_batch_opens_after_the_delay() -> None:
    rollout = replace(_settled(1, ago=30 * MINUTE), answered_at=LONG_AGO)
    assert decide(rollout, _shown(1), NOON - INSTANT) == Wait(On.TIME, "the next batch opens after the delay", NOON)
    assert decide(rollout, _shown(1), NOON) == _move(
        rollout, EventType.BATCH_STARTED, stage=1, ends=(1,), frontier=5, reached=5, frontier_at=NOON, paced_at=NOON, settled_at=None,
        answered_at=None,
    )  # fmt: skip


def test_a_promoted_batch_does_not_wait_for_the_delay() -> None:
    rollout = replace(_settled(2, ago=MINUTE), promoted=1)
    assert decide(rollout, _shown(5), NOON) == _move(
        rollout, EventType.BATCH_STARTED, stage=2, ends=(1, 5), frontier=10, reached=10, frontier_at=NOON, paced_at=NOON, settled_at=None
    )
    assert decide(replace(rollout, promoted=0), _shown(5), NOON).__class__ is Wait


def test_where_the_plan_says_so_an_operator_has_to_promote_the_batch() -> None:
    stages = [{"share_percent": 10}, {"share_percent": 50, "manual_promotion": True}, {"share_percent": 100}]
    assert decide(_settled(2, stages=stages), _shown(5), NOON) == Wait(
        On.OPERATOR, "batch 2 has proved itself; it waits for an operator to promote it"
    )
    assert decide(_settled(1, stages=stages), _shown(1), NOON).__class__ is Move


def test_a_batch_that_stands_for_itself_and_shows_nothing_opens_no_other_by_itself() -> None:
    """Its canaries are silent, or it was taken back by hand."""
    canaries = _in_batch(1, stages=[{"canaries": [CANARY]}, {"share_percent": 50}, {"share_percent": 100}])
    ordinary, last = _in_batch(2), _in_batch(3)
    nothing = "nobody in batch {} shows anything; it waits for an operator to promote it all the same"

    assert decide(canaries, Progress(silent=1), NOON) == Wait(On.OPERATOR, nothing.format(1))
    assert decide(ordinary, Progress(withdrawn=4), NOON) == Wait(On.OPERATOR, nothing.format(2))
    for rollout, progress in (
        (ordinary, NOBODY),
        (last, Progress(withdrawn=5)),
        (ordinary, Progress(withdrawn=4, batch=Tally(running=1))),
        (ordinary, Progress(withdrawn=4, batch=Tally(accepted=1))),
        (ordinary, Progress(withdrawn=4, batch=Tally(running=1, accepted=1))),
        (replace(ordinary, promoted=1), Progress(withdrawn=4)),
    ):
        assert decide(rollout, progress, NOON) == _move(rollout, EventType.BATCH_COMPLETED, settled_at=NOON)


def test_silent_devices_and_those_who_left_are_replaced_by_the_next_in_rank() -> None:
    rollout = replace(_in_batch(2), settled_at=LONG_AGO, answered_at=LONG_AGO)
    assert decide(rollout, _shown(2, silent=2, left=1), NOON) == _move(
        rollout, EventType.BATCH_WIDENED, frontier=8, reached=8, frontier_at=NOON, settled_at=None, answered_at=None
    )
    step = decide(rollout, _shown(0, silent=5, left=3), NOON)
    assert isinstance(step, Move)
    assert step.result.frontier == 10


def test_a_stage_that_replacing_ran_ahead_of_is_passed_over() -> None:
    for frontier in (5, 6):
        rollout = replace(_settled(1), frontier=frontier, reached=frontier)
        assert decide(rollout, _shown(1), NOON) == _move(
            rollout, EventType.BATCH_STARTED, stage=2, ends=(frontier, frontier), frontier=10, reached=10, frontier_at=NOON,
            paced_at=NOON, settled_at=None,
        )  # fmt: skip


def test_devices_that_joined_late_are_in_the_last_batch() -> None:
    opening, open_already = replace(_settled(2), size=12), replace(_settled(3), size=12)
    step = decide(opening, _shown(5), NOON)
    assert isinstance(step, Move)
    assert (step.result.stage, step.result.frontier) == (2, 12)
    assert decide(open_already, _shown(10), NOON) == _move(
        open_already, EventType.BATCH_WIDENED, frontier=12, reached=12, frontier_at=NOON, settled_at=None
    )


def test_silent_devices_make_the_next_batch_larger() -> None:
    rollout = replace(_settled(1), frontier=3, reached=3)
    step = decide(rollout, _shown(1, silent=2), NOON)
    assert isinstance(step, Move)
    assert (step.result.stage, step.result.frontier) == (1, 7)


def test_once_everybody_was_offered_it_and_the_batch_has_proved_itself_it_is_complete() -> None:
    rollout = _settled(3, ago=timedelta(0))
    assert decide(rollout, _shown(9, silent=1), NOON) == _move(
        rollout, EventType.ROLLOUT_COMPLETED, status=Status.COMPLETED, finished_at=NOON
    )


def test_a_fleet_that_is_silent_to_the_last_device_proves_nothing() -> None:
    assert decide(_settled(3), Progress(silent=10), NOON) == Wait(
        On.DEVICES, "everybody was offered it, and none of 10 silent devices has polled"
    )
    assert decide(_settled(3), Progress(silent=1), NOON).__class__ is Wait
    assert decide(_settled(3), Progress(withdrawn=10), NOON).__class__ is Move
    one = Progress(silent=9, total=Tally(1))
    assert decide(_settled(3), one, NOON).__class__ is Move
    for running in (0, 1):
        accepted = Progress(silent=9, total=Tally(running, {}, accepted=1))
        assert decide(_settled(3), accepted, NOON).__class__ is Move, "an operator went on in spite of what it showed"


def test_a_silent_fleet_under_a_cap_is_waited_for_until_its_time_is_over() -> None:
    rollout = _settled(3, schedule={"not_after": NOON}, pace={"max_in_flight": 1})
    assert decide(rollout, Progress(silent=10), NOON - INSTANT).__class__ is Wait
    assert decide(rollout, Progress(silent=10), NOON) == _move(
        rollout, EventType.ROLLOUT_CANCELLED, status=Status.CANCELLED, finished_at=NOON,
        reason="its time was over: 10 of 10 devices had been offered the image",
    )  # fmt: skip
    still_offered = _settled(3, schedule={"not_after": NOON})
    assert decide(still_offered, Progress(silent=10), NOON).__class__ is Wait


def test_silent_devices_whose_windows_are_all_closed_wait_for_one_to_open() -> None:
    rollout = replace(_settled(3, schedule=AFTERNOON), zones=(_zone(LISBON, False, 10),))
    assert decide(rollout, Progress(silent=10), NOON) == Wait(
        On.WINDOW,
        "everybody was offered it, and none of 10 silent devices has polled; it waits for a maintenance window to open",
        NOON + timedelta(hours=1),
    )


def test_after_the_last_batch_it_is_watched() -> None:
    rollout = _settled(3, ago=60 * MINUTE, watch_minutes=60)
    assert decide(rollout, _shown(10), NOON - INSTANT) == Wait(
        On.TIME, "everybody was offered it; it is watched for devices that fall back", NOON
    )
    assert decide(rollout, _shown(10), NOON) == _move(rollout, EventType.ROLLOUT_COMPLETED, status=Status.COMPLETED, finished_at=NOON)


@pytest.mark.parametrize(
    ("batch", "ranks"),
    [(0, (0, 2)), (2, (2, 5))],
)
def test_the_ranks_of_a_batch_lie_between_two_places_of_the_frontier(batch: int, ranks: tuple[int, int]) -> None:
    rollout = replace(_in_batch(3), ends=(2, 2), frontier=5)
    assert ranks_of(rollout, batch) == ranks


@pytest.mark.parametrize("batch", [-1, 1, 3])
def test_a_batch_that_holds_nobody_has_no_ranks(batch: int) -> None:
    rollout = replace(_in_batch(3), ends=(2, 2), frontier=5)
    with pytest.raises(BadInput, match=f"^batch {batch + 1} has no devices that are offered the image$"):
        ranks_of(rollout, batch)


def test_a_batch_that_had_the_image_taken_back_has_no_ranks_either() -> None:
    assert ranks_of(_rolling_back(frontier=1), 0) == (0, 1)
    for rollout, batch in ((_rolling_back(frontier=1), 1), (_rolling_back(), 0), (_rolling_back(), 1)):
        with pytest.raises(BadInput, match=f"^batch {batch + 1} has no devices that are offered the image$"):
            ranks_of(rollout, batch)


def test_before_the_first_batch_nobody_is_offered_the_image() -> None:
    with pytest.raises(BadInput, match=r"^batch 1 has no devices"):
        ranks_of(_begun(), 0)


# Pace


def test_no_more_are_let_in_than_may_be_on_their_way() -> None:
    rollout = _settled(1, pace={"max_in_flight": 3})
    step = decide(rollout, _shown(1), NOON)
    assert isinstance(step, Move)
    assert (step.event, step.result.stage, step.result.frontier) == (EventType.BATCH_STARTED, 1, 4)

    widened = replace(_in_batch(2, pace={"max_in_flight": 3}), frontier=4, reached=4)
    assert decide(widened, Progress(untaken=1, waiting=1, soaking=1), NOON) == Wait(
        On.DEVICES, "it waits for devices: 1 to poll, 1 to answer, 1 to run it long enough"
    )
    assert decide(widened, Progress(untaken=1, retrying=2), NOON).__class__ is Wait
    assert decide(widened, _shown(2, untaken=2), NOON) == _move(widened, EventType.BATCH_WIDENED, frontier=5, reached=5, frontier_at=NOON)


def test_no_more_are_let_in_than_may_share_a_label() -> None:
    rollout = replace(_in_batch(2, pace={"max_in_flight_per_label": {"label": "site"}}), frontier=2, reached=2)
    assert decide(rollout, _shown(2, reach=4), NOON) == _move(rollout, EventType.BATCH_WIDENED, frontier=4, reached=4, frontier_at=NOON)
    assert decide(rollout, _shown(2, reach=99), NOON) == _move(rollout, EventType.BATCH_WIDENED, frontier=5, reached=5, frontier_at=NOON)
    assert decide(rollout, _shown(1, waiting=1, reach=2), NOON) == Wait(On.DEVICES, "it waits for devices: 1 to answer")
    assert decide(rollout, _shown(1, failed=1, returning=1, reach=2), NOON).__class__ is Move
    tolerant = replace(rollout, plan=_plan(max_failure_rate=0.5, pace={"max_in_flight_per_label": {"label": "site"}}))
    for progress in (_shown(1, failed=1, returning=1, reach=2), _shown(1, failed=1, returning=1, deferred=3, reach=2)):
        assert decide(tolerant, progress, NOON) == Wait(On.DEVICES, "as many devices as may share a label's value are on their way back")


def test_a_batch_opens_only_when_a_limit_lets_one_device_in() -> None:
    """A device that returns by itself is expected to show nothing more, yet it may be down."""
    rollout = _settled(2, pace={"max_in_flight_per_label": {"label": "site"}}, rollback_mode="failed_devices")
    assert decide(rollout, _shown(4, failed=1, returning=1, reach=5), NOON) == Wait(
        On.DEVICES, "as many devices as may share a label's value are on their way back"
    )
    step = decide(rollout, _shown(4, failed=1, returning=1, reach=6), NOON)
    assert isinstance(step, Move)
    assert (step.result.stage, step.result.frontier) == (2, 6)


def test_both_caps_hold_together() -> None:
    rollout = replace(_in_batch(2, pace={"max_in_flight": 2, "max_in_flight_per_label": {"label": "site"}}), frontier=2, reached=2)
    for reach, frontier in ((3, 3), (4, 4), (5, 4)):
        step = decide(rollout, _shown(2, reach=reach), NOON)
        assert isinstance(step, Move)
        assert step.result.frontier == frontier


def test_a_plan_with_a_rate_begins_a_batch_with_one_device() -> None:
    rollout = _settled(1, pace={"devices_per_minute": 2})
    assert decide(rollout, _shown(1), NOON) == _move(
        rollout, EventType.BATCH_STARTED, stage=1, ends=(1,), frontier=2, reached=2, frontier_at=NOON, paced_at=NOON, settled_at=None
    )


def test_a_plan_with_a_rate_lets_in_as_many_as_the_time_since_allows_for() -> None:
    rollout = replace(_in_batch(2, pace={"devices_per_minute": 2}), frontier=2, reached=2, paced_at=NOON - 30 * timedelta(seconds=1))
    assert decide(rollout, _shown(2), NOON - INSTANT) == Wait(On.TIME, "it lets in 2 devices a minute", NOON)
    assert decide(rollout, _shown(2), NOON) == _move(
        rollout, EventType.BATCH_WIDENED, frontier=3, reached=3, frontier_at=NOON, paced_at=NOON
    )


def test_what_a_slow_second_missed_is_made_up_for_within_caps_and_stage() -> None:
    a_second = timedelta(seconds=1)
    for policy, frontier in (
        ({"devices_per_minute": 12}, 4),
        ({"devices_per_minute": 24}, 5),
        ({"devices_per_minute": 600}, 5),
        ({"devices_per_minute": 60, "max_in_flight": 1}, 3),
    ):
        rollout = replace(_in_batch(2, pace=policy), frontier=2, reached=2, paced_at=NOON - 10 * a_second)
        step = decide(rollout, _shown(2), NOON)
        assert isinstance(step, Move)
        assert (step.result.frontier, step.result.paced_at) == (frontier, NOON)


@pytest.mark.parametrize(("counts", "per_minute"), [("offered", 4), ("succeeded", 2)])
def test_a_ramp_climbs_with_those_who_were_offered_it_or_run_it_well(counts: str, per_minute: int) -> None:
    ramp = {"base_per_minute": 1, "factor": 2, "every_devices": 2, "counts": counts}
    rollout = replace(_in_batch(2, pace={"ramp": ramp}), frontier=4, reached=4, paced_at=NOON)
    until = NOON + MINUTE / per_minute
    assert decide(rollout, _shown(2), NOON) == Wait(On.TIME, f"it lets in {per_minute} devices a minute", until)


@pytest.mark.parametrize(
    ("pace", "offered", "succeeded", "per_minute"),
    [
        ({}, 99, 99, None),
        ({"devices_per_minute": 3}, 99, 99, 3),
        ({"ramp": {"base_per_minute": 3, "factor": 2, "every_devices": 10}}, 9, 99, 3),
        ({"ramp": {"base_per_minute": 3, "factor": 2, "every_devices": 10}}, 39, 99, 24),
        ({"ramp": {"base_per_minute": 3, "factor": 2, "every_devices": 10, "counts": "succeeded"}}, 99, 39, 24),
        ({"ramp": {"base_per_minute": 3, "factor": 2, "every_devices": 10}, "devices_per_minute": 20}, 39, 0, 20),
        ({"ramp": {"base_per_minute": 3, "factor": 2, "every_devices": 10}, "devices_per_minute": 30}, 39, 0, 24),
        ({"ramp": {"base_per_minute": 1, "factor": 5, "every_devices": 1}}, 1_000_000, 0, 5.0**400),
    ],
)
def test_a_rate_climbs_in_whole_steps_up_to_the_most_that_the_plan_allows(
    pace: dict[str, Any], offered: int, succeeded: int, per_minute: float | None
) -> None:
    assert pacing.rate(_plan(pace=pace).pace, offered, succeeded) == per_minute


@pytest.mark.parametrize(
    ("per_minute", "seconds", "devices", "seconds_left"),
    [(60, 3.5, 3, 0.5), (60, 6, 6, 0), (60, 3600, 6, 0), (1, 59, 0, 59), (1, 60, 1, 0), (1, 3600, 1, 5), (0.5, 3600, 1, 5)],
)
def test_idle_time_is_not_saved_up_beyond_a_few_ticks(per_minute: float, seconds: float, devices: int, seconds_left: float) -> None:
    since, left = NOON - timedelta(seconds=seconds), timedelta(seconds=seconds_left)
    assert pacing.allowance(per_minute, since, NOON) == (devices, NOON - left)


@pytest.mark.parametrize(
    ("pace", "is_capped"),
    [
        ({}, False),
        ({"devices_per_minute": 3}, False),
        ({"max_in_flight": 3}, True),
        ({"max_in_flight_per_label": {"label": "site"}}, True),
    ],
)
def test_a_rate_is_no_cap(pace: dict[str, Any], is_capped: bool) -> None:
    assert _plan(pace=pace).pace.is_capped == is_capped


def test_the_rate_is_said_without_needless_digits() -> None:
    rollout = replace(_in_batch(2, pace={"devices_per_minute": 2.5}), frontier=4, reached=4, paced_at=NOON)
    assert decide(rollout, _shown(4), NOON) == Wait(On.TIME, "it lets in 2.5 devices a minute", NOON + timedelta(seconds=24))


def test_once_its_time_is_over_nobody_more_is_let_in_but_those_who_were_may_answer() -> None:
    rollout = replace(_in_batch(2, schedule={"not_after": NOON}), frontier=4, reached=4)
    assert decide(rollout, _shown(3, soaking=1), NOON) == Wait(On.DEVICES, "it waits for devices: 1 to run it long enough")
    assert decide(rollout, _shown(4), NOON) == _move(
        rollout, EventType.ROLLOUT_CANCELLED, status=Status.CANCELLED, finished_at=NOON,
        reason="its time was over: 4 of 10 devices had been offered the image",
    )  # fmt: skip


def test_once_its_time_is_over_a_zone_that_lags_behind_is_not_waited_for() -> None:
    rollout = replace(_in_batch(2, schedule=AFTERNOON | {"not_after": NOON}), zones=(_zone(BERLIN, True, 2),))
    words = "1 to run it long enough, 3 for their window"
    assert decide(rollout, _shown(2, soaking=1, deferred=3), NOON) == Wait(On.DEVICES, f"it waits for devices: {words}")
    assert decide(rollout, _shown(2, deferred=3), NOON) == _move(
        rollout, EventType.ROLLOUT_CANCELLED, status=Status.CANCELLED, finished_at=NOON,
        reason="its time was over: 5 of 10 devices had been offered the image",
    )  # fmt: skip


# Windows: they open at 14:00 for four hours, so at noon UTC it is just opening in Berlin, open in Kolkata and closed in Tokyo and Lisbon


AFTERNOON = {"windows": [{"cron": "0 14 * * *", "minutes": 240}]}
BERLIN, KOLKATA, LISBON, TOKYO = "Europe/Berlin", "Asia/Kolkata", "Europe/Lisbon", "Asia/Tokyo"


def _zone(name: str, is_open: bool, frontier: int = 0) -> Zone:
    return Zone(name, is_open, LONG_AGO, frontier)


@pytest.mark.parametrize("status", [Status.IN_PROGRESS, Status.PAUSED, Status.COMPLETED, Status.CANCELLED])
def test_windows_open_and_close_zone_by_zone(status: Status) -> None:
    lisbon, tokyo, kolkata, berlin = _zone(LISBON, False), _zone(TOKYO, True, 5), _zone(KOLKATA, True, 5), _zone(BERLIN, False, 3)
    rollout = replace(_in_batch(2, schedule=AFTERNOON), status=status, finished_at=NOON - MINUTE)

    at_noon = replace(rollout, zones=(lisbon, tokyo, kolkata, berlin))
    tokyo_now, berlin_now = Zone(TOKYO, False, NOON, 5), Zone(BERLIN, True, NOON, 3)
    assert decide(at_noon, _shown(5), NOON) == _move(at_noon, EventType.WINDOW_OPENED, zones=(lisbon, tokyo_now, kolkata, berlin_now))
    closing = replace(rollout, zones=(tokyo, kolkata))
    assert decide(closing, _shown(5), NOON) == _move(closing, EventType.WINDOW_CLOSED, zones=(tokyo_now, kolkata))


def test_no_window_matters_to_a_rollout_paused_before_anybody_was_offered_the_image() -> None:
    rollout = replace(_begun(schedule=AFTERNOON), status=Status.PAUSED, zones=(_zone(BERLIN, False),))
    assert decide(rollout, NOBODY, NOON).__class__ is Wait


def test_devices_whose_time_zone_does_not_matter_or_is_unknown_go_by_that_of_the_schedule() -> None:
    for zone, is_open in ((BERLIN, True), (LISBON, False)):
        rollout = replace(_in_batch(2, schedule=AFTERNOON | {"timezone": zone}), zones=(_zone("", not is_open, 5),))
        step = decide(rollout, _shown(5), NOON)
        assert isinstance(step, Move)
        assert step.result.zones == (Zone("", is_open, NOON, 5),)


def test_a_batch_opens_only_in_a_window() -> None:
    for rollout in (_begun(schedule=AFTERNOON), _settled(1, schedule=AFTERNOON)):
        asleep = replace(rollout, zones=(_zone(TOKYO, False), _zone(LISBON, False)))
        assert decide(asleep, _shown(rollout.frontier), NOON) == Wait(
            On.WINDOW, "it waits for a maintenance window to open", NOON + timedelta(hours=1)
        )


def test_the_next_opening_may_be_that_of_the_zone_of_the_schedule() -> None:
    rollout = replace(_begun(schedule=AFTERNOON | {"timezone": LISBON}), zones=(_zone("", False), _zone(TOKYO, False)))
    assert decide(rollout, NOBODY, NOON) == Wait(On.WINDOW, "it waits for a maintenance window to open", NOON + timedelta(hours=1))


def test_a_batch_lets_in_those_whose_window_is_open() -> None:
    berlin, tokyo = _zone(BERLIN, True, 1), _zone(TOKYO, False, 1)
    rollout = replace(_settled(1, schedule=AFTERNOON), zones=(berlin, tokyo))
    assert decide(rollout, _shown(1), NOON) == _move(
        rollout, EventType.BATCH_STARTED, stage=1, ends=(1,), frontier=5, reached=5, frontier_at=NOON, paced_at=NOON, settled_at=None,
        zones=(replace(berlin, frontier=5), tokyo),
    )  # fmt: skip


def test_a_zone_that_lags_behind_catches_up_when_its_window_opens() -> None:
    berlin, kolkata, tokyo = _zone(BERLIN, True, 2), _zone(KOLKATA, True, 5), _zone(TOKYO, False, 1)
    rollout = replace(_in_batch(2, schedule=AFTERNOON), zones=(berlin, kolkata, tokyo), settled_at=LONG_AGO)

    assert lowest(rollout) == 2
    assert decide(rollout, _shown(3), NOON) == _move(
        rollout, EventType.BATCH_WIDENED, frontier_at=NOON, settled_at=None, zones=(replace(berlin, frontier=5), kolkata, tokyo)
    )


def test_a_zone_catches_up_with_the_others_also_where_fewer_are_wanted_by_now() -> None:
    """Silent devices were replaced, and then woke."""
    berlin, kolkata = _zone(BERLIN, True, 5), _zone(KOLKATA, True, 7)
    rollout = replace(_in_batch(2, schedule=AFTERNOON), zones=(berlin, kolkata), frontier=7, reached=7)
    assert decide(rollout, _shown(5), NOON) == _move(
        rollout, EventType.BATCH_WIDENED, frontier_at=NOON, zones=(replace(berlin, frontier=7), kolkata)
    )


def test_a_zone_catches_up_at_the_pace_of_the_plan() -> None:
    berlin, kolkata = _zone(BERLIN, True, 2), _zone(KOLKATA, True, 5)
    for pace, progress, frontier in (
        ({"max_in_flight": 2}, _shown(3), 4),
        ({"max_in_flight": 2}, _shown(3, untaken=1), 3),
        ({"devices_per_minute": 1}, _shown(3), 3),
        ({"max_in_flight_per_label": {"label": "site"}}, _shown(3, reach=4), 4),
    ):
        rollout = replace(_in_batch(2, schedule=AFTERNOON, pace=pace), zones=(berlin, kolkata))
        assert decide(rollout, progress, NOON) == _move(
            rollout, EventType.BATCH_WIDENED, frontier_at=NOON, paced_at=NOON if "devices_per_minute" in pace else rollout.paced_at,
            zones=(replace(berlin, frontier=frontier), kolkata),
        )  # fmt: skip


def test_while_all_windows_are_closed_nobody_has_been_let_in_less_far_than_the_frontier() -> None:
    assert lowest(replace(_in_batch(2), zones=(_zone(TOKYO, False, 1),))) == 5
    assert lowest(_in_batch(2)) == 5


def test_a_stage_is_not_filled_while_all_windows_are_closed() -> None:
    rollout = replace(_in_batch(2, schedule=AFTERNOON), zones=(_zone(TOKYO, False, 2),), frontier=2, reached=2)
    assert decide(rollout, _shown(2), NOON) == Wait(On.WINDOW, "it waits for a maintenance window to open", NOON + timedelta(hours=17))


def test_devices_that_only_their_window_holds_up_are_waited_for_until_it_opens() -> None:
    rollout = replace(_in_batch(2, schedule=AFTERNOON), zones=(_zone(BERLIN, True, 5), _zone(TOKYO, False), _zone(LISBON, False)))
    assert decide(rollout, _shown(2, deferred=3), NOON) == Wait(
        On.WINDOW, "it waits for devices: 3 for their window", NOON + timedelta(hours=1)
    )
    assert decide(rollout, _shown(1, deferred=3, untaken=1), NOON) == Wait(
        On.DEVICES, "it waits for devices: 1 to poll, 3 for their window"
    )
    all_open = replace(rollout, zones=rollout.zones[:1])
    assert decide(all_open, _shown(2, deferred=3), NOON) == Wait(On.WINDOW, "it waits for devices: 3 for their window")


def test_who_sleeps_through_a_rollout_keeps_a_window_until_it_can_no_longer_be_taken_back() -> None:
    zones = (_zone(TOKYO, True),)
    rollout = replace(_ended(Status.COMPLETED, ROLLBACK_WINDOW, schedule=AFTERNOON), zones=zones)

    assert decide(rollout, NOBODY, NOON - INSTANT).__class__ is Move
    assert decide(rollout, NOBODY, NOON) == Wait(On.NOTHING, "it is over: completed")
    one = replace(rollout, frontier=1, finished_at=NOON)
    assert decide(one, NOBODY, NOON).__class__ is Move
    nobody = replace(rollout, frontier=0, finished_at=NOON)
    assert decide(nobody, NOBODY, NOON) == Wait(On.NOTHING, "it is over: completed")


@pytest.mark.parametrize("status", [status for status in Status if status.is_final])
def test_what_is_over_waits_for_nothing(status: Status) -> None:
    assert decide(_ended(status), NOBODY, NOON) == Wait(On.NOTHING, f"it is over: {status.value.replace('_', ' ')}")


# Checks from outside


GATE = {"kind": "webhook", "name": "gate", "url": "https://gate.example/ask"}
OTHER_GATE = {"kind": "webhook", "name": "other", "url": "https://gate.example/other"}


def test_checks_of_the_batch_begin_once_its_devices_have_answered() -> None:
    rollout = _in_batch(1, checks=[GATE])
    assert decide(rollout, _shown(1), NOON) == _move(rollout, EventType.HEALTH_CHECK_STARTED, answered_at=NOON)
    assert decide(rollout, _shown(soaking=1), NOON).__class__ is Wait


def test_a_batch_waits_for_the_checks_that_are_still_running() -> None:
    rollout = replace(_in_batch(1, checks=[GATE, OTHER_GATE]), answered_at=LONG_AGO)
    running, passed = Verdict(State.RUNNING, "gate: held"), Verdict(State.PASSED, "other: may go on")
    also = Verdict(State.RUNNING, "other: not asked yet")

    assert decide(rollout, _shown(1, checks=(running, passed)), NOON) == Wait(On.CHECKS, "it waits for checks: gate: held")
    assert decide(rollout, _shown(1, checks=(running, also)), NOON) == Wait(
        On.CHECKS, "it waits for checks: gate: held; other: not asked yet"
    )
    assert decide(rollout, _shown(1, checks=(passed,)), NOON) == _move(rollout, EventType.BATCH_COMPLETED, settled_at=NOON)


def test_a_check_that_failed_stops_it_and_one_that_could_not_tell_pauses_it() -> None:
    rollout = replace(_in_batch(2, checks=[GATE]), answered_at=LONG_AGO)
    failed, unclear = Verdict(State.FAILED, "errors: failed 1 time: 9"), Verdict(State.INCONCLUSIVE, "errors: could not be measured")
    running = Verdict(State.RUNNING, "gate: held")

    assert decide(rollout, _shown(5, checks=(running, unclear, failed)), NOON) == _move(
        rollout, EventType.ROLLBACK_STARTED, status=Status.ROLLING_BACK, frontier=0, frontier_at=NOON, reason=failed.reason
    )
    assert decide(rollout, _shown(5, checks=(unclear, running)), NOON) == _move(
        rollout, EventType.ROLLOUT_PAUSED, status=Status.PAUSED, reason=unclear.reason
    )


def test_an_operator_who_promotes_a_batch_overrules_its_checks() -> None:
    failed = Verdict(State.FAILED, "errors: failed 1 time: 9")
    rollout = replace(_in_batch(2, checks=[GATE]), answered_at=LONG_AGO, promoted=1)
    assert decide(rollout, _shown(5, checks=(failed,)), NOON) == _move(rollout, EventType.BATCH_COMPLETED, settled_at=NOON)
    assert decide(replace(rollout, promoted=0), _shown(5, checks=(failed,)), NOON).__class__ is Move


def test_a_batch_without_checks_of_its_own_is_not_checked() -> None:
    stages = [{"share_percent": 10, "checks": []}, {"share_percent": 50}, {"share_percent": 100}]
    first, second = (_in_batch(number, checks=[GATE], stages=stages) for number in (1, 2))
    assert decide(first, _shown(1), NOON) == _move(first, EventType.BATCH_COMPLETED, settled_at=NOON)
    assert decide(second, _shown(5), NOON) == _move(second, EventType.HEALTH_CHECK_STARTED, answered_at=NOON)


@pytest.mark.parametrize(("devices", "words"), [(1, "1 device"), (2, "2 devices")])
def test_devices_of_which_checks_could_tell_nothing_pause_it(devices: int, words: str) -> None:
    rollout = _in_batch(2)
    assert decide(rollout, _shown(3, soaking=devices, inconclusive=devices), NOON) == _move(
        rollout, EventType.ROLLOUT_PAUSED, status=Status.PAUSED, reason=f"checks could not tell how {words} did"
    )


# When devices fail


def _stop(rollout: Rollout, reason: str) -> Move:
    return _move(rollout, EventType.ROLLBACK_STARTED, status=Status.ROLLING_BACK, frontier=0, frontier_at=NOON, reason=reason)


def test_too_many_failures_take_the_image_back_from_everybody() -> None:
    rollout = _in_batch(2)
    assert decide(rollout, _shown(3, failed=2), NOON) == _stop(rollout, "2 of 5 devices failed; the policy allows 20%")
    assert decide(rollout, _shown(4, failed=1), NOON) == _move(rollout, EventType.BATCH_COMPLETED, settled_at=NOON)


def test_while_others_are_expected_few_answers_are_not_judged() -> None:
    rollout = _in_batch(2)
    assert decide(rollout, _shown(1, failed=3, waiting=1), NOON) == Wait(On.DEVICES, "it waits for devices: 1 to answer")
    assert decide(rollout, _shown(1, failed=3), NOON) == _stop(rollout, "3 of 4 devices failed; the policy allows 20%")
    assert decide(rollout, _shown(1, failed=4, waiting=1), NOON) == _stop(rollout, "4 of 5 devices failed; the policy allows 20%")


def test_a_batch_is_judged_by_itself_too_and_by_its_own_limit() -> None:
    stages = [{"share_percent": 10}, {"share_percent": 50, "max_failure_rate": 0.1}, {"share_percent": 100}]
    rollout = _in_batch(2, stages=stages)
    of_batch = Tally(3, {Outcome.FAILED: 1})
    assert decide(rollout, Progress(good=9, batch=of_batch, total=Tally(9, {Outcome.FAILED: 1})), NOON) == _stop(
        rollout, "1 of 4 devices of the batch failed; the policy allows 10%"
    )
    early = Progress(good=9, waiting=1, batch=of_batch, total=Tally(9, {Outcome.FAILED: 1}))
    assert decide(rollout, early, NOON).__class__ is Wait


@pytest.mark.parametrize(
    ("kind", "words"),
    [("timed_out", "timed out"), ("refused", "refused"), ("unhealthy", "were unhealthy"), ("failed", "failed")],
)
def test_a_kind_of_failure_may_have_a_limit_of_its_own(kind: str, words: str) -> None:
    rollout = _in_batch(2, max_rates={kind: 0.15})
    assert decide(rollout, _shown(4, **{kind: 1}), NOON) == _stop(rollout, f"1 of 5 devices {words}; the policy allows 15%")
    assert decide(rollout, _shown(1, **{kind: 1}), NOON) == _stop(rollout, f"1 of 2 devices {words}; the policy allows 15%")
    assert decide(rollout, _shown(9, **{kind: 1}), NOON) == _move(rollout, EventType.BATCH_COMPLETED, settled_at=NOON)
    others = {"failed": 1} if kind != "failed" else {"refused": 1}
    assert decide(rollout, _shown(4, **others), NOON) == _move(rollout, EventType.BATCH_COMPLETED, settled_at=NOON)
    assert decide(rollout, _shown(3, **{kind: 1}, waiting=1), NOON).__class__ is Wait


def test_a_kind_that_is_not_tolerated_at_all_stops_it_once_it_is_seen() -> None:
    rollout = _in_batch(2, max_rates={"refused": 0})
    assert decide(rollout, _shown(5), NOON) == _move(rollout, EventType.BATCH_COMPLETED, settled_at=NOON)
    assert decide(rollout, _shown(9, refused=1), NOON) == _stop(rollout, "1 of 10 devices refused; the policy allows 0%")


def test_without_automatic_rollback_or_where_only_failed_devices_return_it_pauses() -> None:
    for policy in ({"auto_rollback_enabled": False}, {"rollback_mode": "failed_devices"}):
        rollout = _in_batch(2, **policy)
        assert decide(rollout, _shown(3, failed=2), NOON) == _move(
            rollout, EventType.ROLLOUT_PAUSED, status=Status.PAUSED, reason="2 of 5 devices failed; the policy allows 20%"
        )


def test_proof_stops_it_before_others_have_answered_and_whoever_took_the_image_counts_as_good_so_far() -> None:
    rollout = _in_batch(3, stop_confidence=0.95)
    assert decide(rollout, _shown(failed=4, waiting=1), NOON) == _stop(rollout, "4 of 4 devices failed; the policy allows 20%")
    assert decide(rollout, _shown(failed=4, waiting=2), NOON) == Wait(On.DEVICES, "it waits for devices: 2 to answer")


def test_where_proof_is_asked_for_a_lone_failure_stops_only_what_it_is_all_of() -> None:
    first, second = _in_batch(1, stop_confidence=0.95), _in_batch(2, stop_confidence=0.95)
    assert decide(first, _shown(failed=1), NOON) == _stop(first, "1 of 1 devices failed; the policy allows 20%")
    assert decide(second, _shown(1, failed=1), NOON) == _move(second, EventType.BATCH_COMPLETED, settled_at=NOON)
    assert decide(second, _shown(2, failed=2), NOON) == _stop(second, "2 of 4 devices failed; the policy allows 20%")
    assert decide(second, _shown(2, failed=2, soaking=1), NOON).__class__ is Wait
    assert decide(second, _shown(8, failed=2), NOON) == _move(second, EventType.BATCH_COMPLETED, settled_at=NOON)
    assert decide(first, _shown(1), NOON) == _move(first, EventType.BATCH_COMPLETED, settled_at=NOON)


def test_a_paused_rollout_says_why_and_what_to_do() -> None:
    rollout = replace(_in_batch(2), status=Status.PAUSED)
    assert decide(rollout, _shown(3, failed=2), NOON) == Wait(On.OPERATOR, "it is paused; resume it, roll it back or cancel it")
    assert decide(replace(rollout, reason="2 of 5 devices failed"), NOBODY, NOON) == Wait(
        On.OPERATOR, "it is paused: 2 of 5 devices failed; resume it, roll it back or cancel it"
    )


# The way back


def test_where_the_plan_says_so_the_failed_batch_returns_first() -> None:
    for number, frontier in ((1, 0), (2, 1), (3, 5)):
        rollout = _in_batch(number, rollback_mode="failed_batch_first")
        reason = "2 of 2 devices failed; the policy allows 20%"
        assert decide(rollout, _shown(failed=2), NOON) == _move(
            rollout, EventType.ROLLBACK_STARTED, status=Status.ROLLING_BACK, frontier=frontier, frontier_at=NOON, reason=reason
        )


def test_the_others_return_once_the_failed_batch_is_back_or_had_the_time_to_poll() -> None:
    rollout = _rolling_back(frontier=1, ago=15 * MINUTE)
    assert decide(rollout, Progress(returning=4), NOON - INSTANT) == Wait(On.DEVICES, "4 devices must report the previous image", NOON)
    for returning, now in ((4, NOON), (0, NOON)):
        assert decide(rollout, Progress(returning=returning), now) == _move(
            rollout, EventType.ROLLBACK_WIDENED, frontier=0, frontier_at=NOON
        )


def test_while_the_failed_batch_returns_windows_move_for_those_who_keep_the_image() -> None:
    closing = (_zone(TOKYO, True, 1),)
    for frontier, event in ((1, EventType.WINDOW_CLOSED), (0, None)):
        rollout = replace(_rolling_back(frontier, schedule=AFTERNOON), zones=closing)
        step = decide(rollout, Progress(returning=4), NOON)
        assert step == _move(rollout, event, zones=(Zone(TOKYO, False, NOON, 1),)) if event else isinstance(step, Wait)


def test_a_rollback_ends_when_everybody_is_back() -> None:
    rollout = _rolling_back()
    assert decide(rollout, Progress(returning=1), NOON) == Wait(On.DEVICES, "1 device must report the previous image", NOON + 29 * MINUTE)
    assert decide(rollout, NOBODY, NOON) == _move(
        rollout, EventType.ROLLOUT_ROLLED_BACK, status=Status.ROLLED_BACK, reason="the fans howl", finished_at=NOON
    )
    step = decide(replace(rollout, reason=None), NOBODY, NOON)
    assert isinstance(step, Move)
    assert step.result.reason == "rolled back"


def test_a_rollback_ends_without_those_who_have_not_returned_by_the_deadline() -> None:
    rollout = _rolling_back(ago=30 * MINUTE)
    assert decide(rollout, Progress(returning=2), NOON - INSTANT).__class__ is Wait
    assert decide(rollout, Progress(returning=2), NOON) == _move(
        rollout, EventType.ROLLOUT_ROLLED_BACK, status=Status.ROLLED_BACK, finished_at=NOON,
        reason="the fans howl; 2 devices have not reported their return",
    )  # fmt: skip
