"""What is promised, whatever happens: of every moment, and of the step from one moment to another."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from math import floor, inf

from domain.events import EventType
from domain.ids import DeviceId, PolicyId, RolloutId
from domain.images import Image
from domain.pacing import MINUTE, Pace
from domain.rollouts import Rollout
from domain.statuses import DeviceStatus, Status
from domain.targets import Membership, effective_image, effective_version
from domain.windows import is_open, is_zone, zone_named
from storage import rollouts
from tests.histories.agents import Agent
from tests.histories.model import busy, counted, is_offered, is_taken_back, status_of
from tests.histories.world import Past, Place, Told, World

FIVE_SECONDS = 5 / 60
"""In minutes: for so long idle time is saved up."""

# Of every moment


def a_service_has_one_candidate_and_a_device_one_live_place_per_image(now: World) -> None:
    """No device is offered two candidates for a service; a policy brings one release of an image at a time."""
    assert set(now.candidates.values()) <= {1}
    assert _most(Counter((place.device_id, place.repository) for place, _ in now.everywhere if place.live)) <= 1
    active = [one for one in now.rollouts.values() if one.status.is_active]
    assert _most(Counter((one.policy_id, repository) for one in active for repository in one.repositories)) <= 1


def _most(counted: Counter[tuple[int, str]]) -> int:
    return max(counted.values(), default=0)


def the_history_folds_to_the_row(now: World, first: Mapping[RolloutId, Rollout]) -> None:
    """The changes of all moves make the row of what the rollout was at first; revisions have no gap."""
    for number, rollout in now.rollouts.items():
        past = now.moves[number]
        assert [move.revision for move in past] == list(range(1, rollout.revision + 1))
        assert rollouts.folded(first[number], [move.changes for move in past]) == rollout
        for last in past[-1:]:
            written = (last.status, last.stage, last.frontier, last.at)
            assert written == (rollout.status, rollout.stage, rollout.frontier, rollout.moved_at)


def the_domain_and_the_views_say_the_same(now: World) -> None:
    """What a device should run, and the version of it, by domain/targets.py and by the views."""
    live: dict[DeviceId, list[tuple[Place, Membership]]] = defaultdict(list)
    for place, rollout in now.everywhere:
        if place.live:
            live[place.device_id].append((place, _membership(place, rollout)))
    for device, version in now.versions.items():
        of = {place.repository: one for place, one in live[device]}
        shown = {key: str(effective_image(image, of.get(image.repository))) for key, image in now.base[device].items()}
        assert now.told[device] == Told(effective_version(version, [one for place, one in live[device] if place.part == 0]), shown)


def _membership(place: Place, rollout: Rollout) -> Membership:
    return Membership(
        rollout, place.rank, Image.parse(place.image) if place.image else rollout.image,
        Image.parse(place.from_image) if place.from_image else None, place.zone,
        is_taken=place.taken_at is not None, is_withdrawn=place.withdrawn_at is not None, is_deferred=place.deferred_at is not None,
        retries=place.retries,
    )  # fmt: skip


def the_frontier_rises_in_time_and_no_faster_than_the_pace(now: World) -> None:
    """It rises only while the rollout is on its way, within its time, and no faster than the rate allows, but for a first of each batch."""
    for number, rollout in now.rollouts.items():
        schedule = rollout.plan.schedule
        rises = [(old, new) for old, new in pairwise(now.moves[number]) if new.frontier > old.frontier]
        for old, new in rises:
            assert (old.status, new.status) == (Status.IN_PROGRESS, Status.IN_PROGRESS)
            assert schedule.not_before is None or new.at >= schedule.not_before
            assert schedule.not_after is None or new.at < schedule.not_after
        _not_too_fast(rollout, rises)


def _not_too_fast(rollout: Rollout, rises: list[tuple[Past, Past]]) -> None:
    if rollout.plan.pace.ramp is None and rollout.plan.pace.per_minute is None:
        return
    for old, last in rises:
        at_once = floor(1 + _fastest(rollout.plan.pace, old.frontier) * FIVE_SECONDS)
        assert last.frontier - old.frontier <= at_once, f"rollout {rollout.id} had saved up time for more than {at_once} devices"
        recent = [(before, new) for before, new in rises if last.at - MINUTE < new.at <= last.at]
        firsts = sum(new.event == EventType.BATCH_STARTED for _, new in recent)
        let_in = sum(new.frontier - before.frontier for before, new in recent)
        per_minute = _fastest(rollout.plan.pace, last.frontier)
        saved_up = 1 + per_minute * FIVE_SECONDS
        assert let_in <= firsts + per_minute + saved_up, f"rollout {rollout.id}: {let_in} devices were let in within a minute"


def versions_never_fall_and_rise_with_any_change(now: World, fleet: Iterable[Agent]) -> None:
    """Since a device polled last; what it would have been told in between was told to nobody."""
    for agent in fleet:
        if agent.told is not None:
            would_be_told = now.told[agent.id]
            assert would_be_told.version >= agent.told.version, f"the version of {agent} fell"
            if would_be_told.images != agent.shown():
                assert would_be_told.version > agent.told.version, f"{agent} is told something else at the same version"


def _fastest(pace: Pace, devices: int) -> float:
    """Devices a minute, before and up to when so many were let in."""
    ramp, most = pace.ramp, inf if pace.per_minute is None else pace.per_minute
    return most if ramp is None else min(most, ramp.base * ramp.factor ** (devices // ramp.every))


# Of each step, whatever it was


def what_is_over_stays_over(before: World, now: World) -> None:
    """A final rollout never moves, but a completed one that is rolled back; an ended one shows its image to nobody new."""
    for number, old in before.rollouts.items():
        new = now.rollouts[number]
        if old.status is Status.COMPLETED:
            assert new.status in (Status.COMPLETED, Status.ROLLING_BACK, Status.ROLLED_BACK)
        elif old.status.is_final:
            assert new.status is old.status
            assert new.frontier == old.frontier
        assert new.reached >= old.reached


def only_those_become_members_whom_the_filter_lets_in(before: World, now: World, fleet: Mapping[DeviceId, Agent]) -> None:
    """Members are of the fleet that is governed, run the image's repository, and are not set aside."""
    known = {(place.rollout_id, place.device_id) for place, _ in before.everywhere}
    for place, rollout in now.everywhere:
        if (place.rollout_id, place.device_id) in known:
            continue
        agent = fleet[place.device_id]
        assert rollout.fleet in (None, agent.fleet)
        assert agent.fleet is None or agent.fleet not in rollout.except_fleets
        assert place.repository in {image.repository for image in now.base[place.device_id].values()}
        is_aside = before.is_aside(place.device_id) and now.is_aside(place.device_id)
        assert not is_aside, f"{agent} was set aside and joined rollout {rollout.id}"


# Of what the engine does


def whoever_is_let_in_is_let_in_when_that_may_be(
    before: World, now: World, fleet: Mapping[DeviceId, Agent], looked: Collection[datetime]
) -> None:
    """In the window of the device's own clock, when an engine last looked, by a rollout that is not over; and canaries are first."""
    for place, rollout in _let_in(before, now):
        agent = fleet[place.device_id]
        assert rollout.status in (Status.IN_PROGRESS, Status.PAUSED, Status.COMPLETED, Status.ROLLING_BACK), rollout.status
        assert is_in_window(agent, rollout, looked), f"{agent} is offered {rollout.image} out of its window"
        _canaries_come_first(now, rollout, place, fleet)


def _let_in(before: World, now: World) -> list[tuple[Place, Rollout]]:
    had = {(place.rollout_id, place.device_id) for place, rollout in before.everywhere if place.live and is_offered(place, rollout)}
    have = [(place, rollout) for place, rollout in now.everywhere if place.live and place.part == 0 and is_offered(place, rollout)]
    return [(place, rollout) for place, rollout in have if (place.rollout_id, place.device_id) not in had]


def is_in_window(agent: Agent, rollout: Rollout, moments: Collection[datetime]) -> bool:
    """Whether a window of its plan is open for a device at one of these moments."""
    schedule = rollout.plan.schedule
    label = agent.labels.get(schedule.zone_label, "")
    zone = zone_named(label if is_zone(label) else schedule.zone)
    return not schedule.windows or any(is_open(schedule.windows, zone, moment) for moment in moments)


def _canaries_come_first(now: World, rollout: Rollout, place: Place, fleet: Mapping[DeviceId, Agent]) -> None:
    named = {uuid for stage in rollout.plan.stages for uuid in stage.canaries}
    first = [one for one in now.counted_in(rollout.id) if fleet[one.device_id].uuid in named][: sum(rollout.canaries)]
    if fleet[place.device_id].uuid not in named:
        assert all(one.rank < place.rank for one in first)


def caps_hold(before: World, now: World) -> None:
    """Whenever somebody is let in, no more are on their way than the plan allows; at a label's value as well."""
    new: dict[RolloutId, set[str | None]] = defaultdict(set)
    for place, _ in _let_in(before, now):
        new[place.rollout_id].add(place.lane)
    for number, lanes in new.items():
        rollout, pace = now.rollouts[number], now.rollouts[number].plan.pace
        # Those whom an operator wants to be tried again wait for room, however many they are.
        waiting = [place for place in now.counted_in(number) if place.retry_at and place.retry_at <= now.at]
        waiting = [place for place in waiting if status_of(place, rollout, now.at) is DeviceStatus.RETRYING]
        if pace.in_flight is not None:
            here = counted(now, rollout).in_flight - len(waiting)
            assert here <= pace.in_flight, f"rollout {number}: {here} are on their way, and {pace.in_flight} may be"
        if pace.per_label is not None:
            on_their_way = busy(now, rollout) - Counter(place.lane for place in waiting if place.lane)
            for lane in lanes - {None}:
                assert on_their_way[lane or ""] <= pace.per_label.devices, f"rollout {number}: too many of {lane}"


def a_batch_holds_as_many_as_were_meant(before: World, now: World) -> None:
    """In any but the last only the silent and those who left are replaced; of canaries nobody."""
    for number, rollout in now.rollouts.items():
        had = before.rollouts[number].frontier if number in before.rollouts else 0
        if rollout.frontier > had and 0 <= rollout.stage < len(rollout.stages) - 1:
            found = counted(now, rollout)
            replaced = 0 if rollout.open_stage.canaries else found.silent + found.left
            assert rollout.frontier <= rollout.stages[rollout.stage] + replaced


def no_batch_opens_before_the_last_has_proved_itself(before: World, now: World) -> None:
    """The next one opens when it did and its delay is over, or an operator said so."""
    for number, rollout in now.rollouts.items():
        past = now.moves[number]
        began = [index for index, move in enumerate(past) if move.event == EventType.BATCH_STARTED]
        for index in began[1:]:
            move, earlier = past[index], past[:index]
            if number in before.rollouts and move.revision <= before.rollouts[number].revision:
                continue
            proved = [one for one in earlier if one.event == EventType.BATCH_COMPLETED and one.stage == earlier[-1].stage]
            assert proved, f"rollout {number} opened batch {move.stage + 1}, and the one before had not proved itself"
            stage = rollout.plan.stages[proved[-1].stage]
            is_promoted = any(one.event == EventType.BATCH_PROMOTED and one.stage == proved[-1].stage for one in earlier)
            is_due = not stage.is_promoted_by_hand and proved[-1].at + stage.delay <= move.at
            assert is_promoted or is_due, f"rollout {number} opened batch {move.stage + 1} too early"


def failures_are_heeded(now: World) -> None:
    """Whoever would be let in is not where more failed than the plan allows, and nobody else is expected who could make up for it."""
    for number, rollout in now.rollouts.items():
        if rollout.status is not Status.IN_PROGRESS or rollout.stage < 0 or rollout.plan.limits.confidence:
            continue
        found = counted(now, rollout)
        for tally, limits in ((found.total, rollout.plan.limits), (found.batch, rollout.open_stage.limits)):
            enough = tally.outcomes >= limits.min_outcomes or not found.expected
            assert not (tally.bad and enough and tally.rate > limits.rate), f"rollout {number} goes on, and {tally.bad} devices failed"


def tidying_is_seen_by_nobody(before: World, now: World) -> None:
    """But by a device that slept through a rollout which can no longer be taken back."""
    for device, told in now.told.items():
        slept = any(place.live and not place.taken_at and one.status is Status.COMPLETED for place, one in before.of_device(device))
        assert slept or told == before.told[device]


# Of what somebody asks for


def a_release_is_started_once(before: World, policy: PolicyId, image: Image, unblocked: Collection[tuple[str, str]]) -> None:
    """However often a registry tells of it; again only after it was rolled back and an operator unblocked it."""
    for rollout in before.rollouts.values():
        if rollout.policy_id == policy and any(_is_release(image, one) for one in rollout.images):
            was_rolled_back = rollout.status in (Status.ROLLING_BACK, Status.ROLLED_BACK)
            assert was_rolled_back, f"rollout {rollout.id} brought {image} already"
            assert (image.repository, image.release) in unblocked, f"rollout {rollout.id} took {image} back"


def _is_release(image: Image, other: Image) -> bool:
    return (image.repository, image.release) == (other.repository, other.release)


# Of what a device is told when it polls


def nobody_gets_again_what_was_taken_back(
    agent: Agent, image: Image, before: World, went_back: Collection[tuple[RolloutId, DeviceId]]
) -> None:
    """A device that took an image and went back is shown it again only if somebody asked for that."""
    places = [
        (place, rollout)
        for place, rollout in before.of_device(agent.id)
        if _is_release(image, Image.parse(place.image) if place.image else rollout.image)
    ]
    if any(rollout.by_hand and place.live for place, rollout in places):
        return
    back = [rollout.id for place, rollout in places if is_taken_back(place, rollout) and (rollout.id, agent.id) in went_back]
    assert not back, f"{agent} is shown {image} again, which rollouts {back} took back"
