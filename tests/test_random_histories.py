"""Random histories: plans, devices, operators, registries, crashes and time as they come, beside a plain model of what is promised.

Everything goes through the real use cases, the reconciler and the janitor, on a real database; only the clock is moved. A failing
history is shrunk and printed as a story. The usual run tells the same few stories every time; for a long one:

    HISTORIES=1000 STEPS=60 python -m pytest tests/test_random_histories.py --timeout=0 --hypothesis-seed=7

The model and the laws are in tests/histories/.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, note
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from domain.actors import Actor
from domain.errors import Refused
from domain.health import ServiceKey
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.pacing import MINUTE
from domain.policies import Policy
from domain.provisioning import Wanted
from domain.requests import LEGAL, Request
from domain.rollouts import Rollout
from domain.statuses import Status
from domain.waits import On, Wait
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import aside, images, policies
from resolvers import rollouts as use
from resolvers.context import Context
from resolvers.feed import Feed
from resolvers.targets import set_target
from storage import identity, provisioning
from storage.identity import Proofs
from tests import talking
from tests.fuses import CUT, Fuse
from tests.histories import laws
from tests.histories.agents import SAYS, Agent, apps, images_of
from tests.histories.house import House
from tests.histories.model import counted, is_offered, is_taken_back, status_of
from tests.histories.plans import PLANS, START, uuid_of
from tests.histories.remembered import Remembered
from tests.histories.world import World, look
from tools.pushing import pushed

T = TypeVar("T")

NGINX, REDIS = "nginx", "redis"
SAME = f"@sha256:{'5e' * 32}"
TAGS = ("1.5.0", "2.0.0", "3.0.0", f"4.0.0{SAME}", f"5.0.0{SAME}")
"""The last two are two names of one image."""
FLEETS = ("a", "b", None)
ZONES = ("Europe/Berlin", "Asia/Kolkata", "not/a/zone", None)
RACKS = ("r1", "r2", None)
ASKED = tuple(request for request in Request if request is not Request.SUPERSEDE)  # which nobody can ask for
SPANS = (1, 2, 15, 60, 61, 5 * 60, 16 * 60, 31 * 60, 3600, 5 * 3600, 24 * 3600, 31 * 24 * 3600)
DEVICE, AGE = st.integers(0, 6), st.sampled_from((0, 0, 0, 1, 2))
ROUNDS = 400
PATIENCE = 150
"""So many rounds in a row a rollout may wait for devices that all do as they are told: each is a minute longer, in all a week, since
who is to be tried again may wait for its window."""


def has_begun(machine: "Histories") -> bool:
    """Whether there is anything for an engine to do."""
    return bool(machine.first)


def now_and_then(machine: "Histories") -> bool:
    """Every third step, so that what is rare does not crowd out what devices and time do."""
    return machine.steps % 3 == 0


class Histories(RuleBasedStateMachine):
    """One history."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self.house = house
        self.ops = house.operator
        self.fleet: list[Agent] = []
        self.policies: list[Policy] = []
        self.first: dict[RolloutId, Rollout] = {}
        self.pinned: dict[DeviceId, dict[ServiceKey, str]] = {}
        self.unblocked: set[tuple[str, str]] = set()
        self.by_operator: set[tuple[DeviceId, str, str]] = set()
        self.ticks = [START]
        self.steps = 0
        self.went_back: set[tuple[RolloutId, DeviceId]] = set()
        self.settled: dict[RolloutId, object] = {}
        self.known: World | None = None
        self._world: World | None = None
        self.run(house.empty())
        self.remembered = Remembered(house.db)

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Do something with the database; what was seen of it before is out of date."""
        self._world = None
        return self.house.run(doing)

    @property
    def now(self) -> datetime:
        return self.house.clock.now

    @property
    def world(self) -> World:
        if self._world is None:
            self._world = self.house.run(self._look())
        return self._world

    async def _look(self) -> World:
        async with self.house.db.snapshot() as conn:
            return await look(conn, self.now)

    def tell(self, what: str) -> None:
        note(f"    {self.now:%a %H:%M:%S}  {what}")

    def may(self, doing: Coroutine[Any, Any, T]) -> T | None:
        """Ask for something that may be refused; what is refused changes nothing."""
        before = self.world
        try:
            done = self.run(doing)
        except Refused as refused:
            self.tell(f"refused: {refused}")
            assert self.world == before, "what was refused changed something"
            return None
        return done

    @property
    def by_id(self) -> dict[DeviceId, Agent]:
        return {agent.id: agent for agent in self.fleet}

    def _nth(self, device: int) -> Agent:
        return self.fleet[device % len(self.fleet)]

    def _aged(self, age: int) -> RolloutId:
        """The newest rollout, or an older one."""
        newest_first = sorted(self.first, reverse=True)
        return newest_first[age % len(newest_first)]

    # The beginning

    @initialize(
        count=st.integers(2, 8), everybody=PLANS, some=st.none() | st.none() | PLANS, other=st.none() | PLANS,
        tag=st.sampled_from(TAGS[1:3]), pattern=st.sampled_from(("nginx*", "nginx*", "*")),
    )  # fmt: skip
    def begins(
        self, count: int, everybody: dict[str, Any], some: dict[str, Any] | None, other: dict[str, Any] | None, tag: str, pattern: str
    ) -> None:
        """A policy for everybody, perhaps one for a fleet and one for the other image; some devices; a push."""
        self._policy(image_pattern=pattern, **everybody)
        if some:
            self._policy(image_pattern="nginx*", fleet="a", **some)
        if other:
            self._policy(image_pattern="redis", **other)
        for number in range(count):
            self._device(number % 3, number % 4, number % 3, number % 2 == 0)
        self._push(NGINX, tag)

    def _policy(self, **plan: Any) -> None:
        self.policies.append(self.run(policies.create(self.ops, plan)))

    def _device(self, fleet: int, zone: int, rack: int, two: bool) -> None:
        labels = {name: value for name, value in (("timezone", ZONES[zone]), ("rack", RACKS[rack])) if value}
        agent = Agent(uuid := uuid_of(len(self.fleet) + 1), self.run(self._registered(uuid, FLEETS[fleet], labels)), FLEETS[fleet], labels)
        self.fleet.append(agent)
        self._set_target(agent, ["nginx:1.0.0", "redis:1.0.0"] if two else ["nginx:1.0.0"])
        self._poll(agent)
        self._report(agent, "running")

    async def _registered(self, uuid: str, fleet: str | None, labels: dict[str, str]) -> DeviceId:
        async with self.house.db.transaction() as conn:
            key = await provisioning.insert(conn, Wanted(uuid, fleet, labels), uuid.encode(), "ops", self.now)
            device = await identity.insert(conn, uuid, uuid[-2:], "pi4", Proofs(b""), key, self.now)
            assert device is not None
        return device.id

    # Devices

    @precondition(lambda machine: len(machine.fleet) < 9)
    @precondition(now_and_then)
    @rule(fleet=st.integers(0, 2), zone=st.integers(0, 3), rack=st.integers(0, 2), two=st.booleans())
    def a_device_joins(self, fleet: int, zone: int, rack: int, two: bool) -> None:
        self._device(fleet, zone, rack, two)

    @rule(device=DEVICE)
    def polls(self, device: int) -> None:
        agent = self._nth(device)
        self._poll(agent)

    @rule(device=DEVICE, says=st.sampled_from(SAYS))
    def polls_and_reports(self, device: int, says: str) -> None:
        agent = self._nth(device)
        self._poll(agent)
        self._report(agent, says)

    @rule(device=DEVICE, says=st.sampled_from(SAYS))
    def reports(self, device: int, says: str) -> None:
        agent = self._nth(device)
        self._report(agent, says)

    @rule(says=st.sampled_from(SAYS), every=st.integers(1, 3), off=st.integers(0, 2))
    def many_answer(self, says: str, every: int, off: int) -> None:
        for agent in self.fleet[off::every]:
            self._poll(agent)
            self._report(agent, says)
        self._tick()

    def _poll(self, agent: Agent) -> None:
        before = self.world
        told = self.run(talking.poll(self.ops, agent.id))
        shown = images_of(told)
        self.tell(f"{agent} polls: {', '.join(shown.values())} (version {told.version})")
        assert (told.version, shown) == (before.told[agent.id].version, before.told[agent.id].images), "it is told what the views say"
        assert shown == self.pinned.get(agent.id, shown), f"{agent} is pinned and told something else"
        for image in {image for key, image in shown.items() if agent.shown().get(key, image) != image}:
            self._is_shown(agent, Image.parse(image), before)
        agent.told = told

    def _is_shown(self, agent: Agent, image: Image, before: World) -> None:
        for place, rollout in before.of_device(agent.id):
            if place.live and image in rollout.images and is_offered(place, rollout) and not place.taken_at:
                assert laws.is_in_window(agent, rollout, self.ticks), f"{agent} is offered {image} out of its window"
        asked = {(agent.id, *release) for release in self.unblocked} | self.by_operator
        if (agent.id, image.repository, image.release) not in asked:
            laws.nobody_gets_again_what_was_taken_back(agent, image, before, self.went_back)

    def _report(self, agent: Agent, says: str) -> None:
        said = agent.report(says)
        self.tell(f"{agent} reports: {says}")
        is_replay = said.version is None
        before = self.world if is_replay else None
        self.run(talking.report(self.ops, agent.id, agent.uuid, said))
        if before is not None:
            assert self.world == before, "an old report changed something"
        agent.said = agent.said if is_replay else said

    @rule(says=st.sampled_from(SAYS), most=st.integers(1, 4), ticks=st.booleans())
    def those_who_are_told_something_new_answer(self, says: str, most: int, ticks: bool) -> None:
        for agent in [agent for agent in self.fleet if agent.runs != self.world.told[agent.id].images][:most]:
            self._poll(agent)
            self._report(agent, says)
        if ticks:
            self._tick()

    @rule(minutes=st.sampled_from((1, 6, 31)), times=st.integers(1, 4), asleep=st.sets(DEVICE, max_size=4))
    def all_goes_well_for_a_while(self, minutes: int, times: int, asleep: set[int]) -> None:
        """Every device does as it is told, but for some that sleep."""
        for _ in range(times):
            self._obey([agent for number, agent in enumerate(self.fleet) if number not in asleep])
            self.house.clock.now += timedelta(minutes=minutes)
            self.tell(f"{minutes} minutes later")
            self._tick()

    # Registries and operators

    @precondition(now_and_then)
    @precondition(lambda machine: len(machine.first) < 5)
    @rule(name=st.sampled_from((NGINX, NGINX, REDIS)), tag=st.sampled_from(TAGS))
    def is_pushed(self, name: str, tag: str) -> None:
        self._push(name, tag)

    @precondition(now_and_then)
    @precondition(lambda machine: has_begun(machine) and len(machine.first) < 5)
    @rule(age=AGE)
    def is_pushed_again(self, age: int) -> None:
        image = self.world.rollouts[self._aged(age)].image
        self._push(image.name, str(image).removeprefix(f"{image.name}:"))

    def _push(self, name: str, tag: str) -> None:
        before, image = self.world, Image.parse(f"{name}:{tag}")
        for decision in self.run(pushed(self.ops, str(image))):
            self.tell(f"{name}:{tag} is pushed: {decision.decision}")
            if decision.started and decision.rollout_id and decision.policy_id:
                laws.a_release_is_started_once(before, decision.policy_id, image, self.unblocked)
                self._created(decision.rollout_id)

    @precondition(now_and_then)
    @precondition(lambda machine: len(machine.first) < 5)
    @rule(policy=st.integers(0, 2), tag=st.sampled_from(TAGS), other=st.none() | st.sampled_from(TAGS))
    def is_rolled_out_by_hand(self, policy: int, tag: str, other: str | None) -> None:
        """Perhaps together with another image, if the policy is for both."""
        found = self.policies[policy % len(self.policies)]
        image = f"{found.settings.image_pattern.rstrip('*') or NGINX}:{tag}"
        also = [f"{REDIS}:{other}"] if other and found.settings.image_pattern == "*" else []
        self.tell(f"policy {found.id} is to roll out {' with '.join([image, *also])}")
        if rollout := self.may(images.create_rollout(self.ops, found.id, image, also)):
            self._created(rollout.id)

    def _created(self, rollout: RolloutId) -> None:
        self.first[rollout] = self.world.rollouts[rollout]

    @precondition(has_begun)
    @rule(age=AGE, which=st.integers(0, 9), who=st.sampled_from(("ann", "bob")), of=st.sampled_from((None, 1, 2)))
    def is_asked(self, age: int, which: int, who: str, of: int | None) -> None:
        rollout = self._aged(age)
        legal = [request for request in ASKED if self.world.rollouts[rollout].status in LEGAL[request][0]] or ASKED
        request = legal[which % len(legal)]
        self.tell(f"{who} asks rollout {rollout} to {request}")
        before = self.world.rollouts[rollout]
        decided_on = before.checksum if request in (Request.APPROVE, Request.REJECT) else None
        batch = of if request is Request.PROMOTE else None
        if self.may(use.request(self._as(who), rollout, request, decided_on=decided_on, batch=batch)):
            assert batch in (None, before.stage + 1), "another batch is promoted than was named"
            if request is Request.ROLL_BACK and before.status is Status.COMPLETED:
                assert self._followers(before) == [], "what others build on is taken back"

    def _as(self, who: str) -> Context:
        return Context(self.house.db, Feed(), Actor.operator(who))

    def _followers(self, rollout: Rollout) -> list[Rollout]:
        later = [one for one in self.world.rollouts.values() if one.id > rollout.id and one.policy_id == rollout.policy_id]
        return [one for one in later if one.reached and set(one.repositories) & set(rollout.repositories)]

    @precondition(now_and_then)
    @precondition(has_begun)
    @rule(age=AGE, batch=st.integers(1, 3))
    def a_batch_is_rolled_back(self, age: int, batch: int) -> None:
        rollout = self._aged(age)
        self.tell(f"batch {batch} of rollout {rollout} is to be rolled back")
        self.may(use.roll_back_batch(self.ops, rollout, batch))

    @precondition(now_and_then)
    @precondition(has_begun)
    @rule(age=AGE, device=DEVICE)
    def a_device_is_rolled_back(self, age: int, device: int) -> None:
        rollout = self._aged(age)
        agent = self._nth(device)
        self.tell(f"{agent} is to be rolled back from rollout {rollout}")
        self.may(use.roll_back_device(self.ops, rollout, agent.uuid))

    @precondition(now_and_then)
    @precondition(has_begun)
    @rule(age=AGE, plan=PLANS)
    def is_replanned(self, age: int, plan: dict[str, Any]) -> None:
        rollout = self._aged(age)
        self.tell(f"rollout {rollout} is to go about it as its policy now says")
        self.run(policies.update(self.ops, self.world.rollouts[rollout].policy_id, {"stages": (), **plan}))
        self.may(use.replan(self.ops, rollout))

    @precondition(now_and_then)
    @precondition(has_begun)
    @rule(age=AGE)
    def is_unblocked(self, age: int) -> None:
        rollout = self._aged(age)
        found = self.world.rollouts[rollout]
        if self.run(policies.unblock(self.ops, found.policy_id, str(found.image))):
            self.tell(f"{found.image} is unblocked")
            self.unblocked |= {(image.repository, image.release) for image in found.images}

    @precondition(now_and_then)
    @rule(device=DEVICE, tags=st.lists(st.sampled_from(("1.0.0", *TAGS)), min_size=1, max_size=2), other=st.booleans())
    def is_told_by_hand(self, device: int, tags: list[str], other: bool) -> None:
        agent = self._nth(device)
        self._set_target(agent, [*(f"nginx:{tag}" for tag in tags), *(["redis:1.0.0"] if other else [])])

    @precondition(now_and_then)
    @rule(device=DEVICE)
    def is_told_what_it_is_told(self, device: int) -> None:
        agent = self._nth(device)
        self._set_target(agent, list(self.world.told[agent.id].images.values()))

    def _set_target(self, agent: Agent, wanted: list[str]) -> None:
        self.tell(f"{agent} is told to run {', '.join(wanted)}")
        self.by_operator |= {(agent.id, image.repository, image.release) for image in map(Image.parse, wanted)}
        self.pinned.pop(agent.id, None)
        self.may(set_target(self.ops, agent.uuid, apps(wanted)))

    @precondition(now_and_then)
    @rule(device=DEVICE, how=st.sampled_from(("pinned", "held", "released")), hours=st.sampled_from((1, 24)))
    def is_set_aside_or_let_go_of(self, device: int, how: str, hours: int) -> None:
        agent, before = self._nth(device), self.world
        self.tell(f"{agent} is {how}")
        if how == "pinned":
            self.may(aside.pin(self.ops, agent.uuid, None))
            self.pinned[agent.id] = before.told[agent.id].images
        elif how == "held":
            self.may(aside.hold(self.ops, agent.uuid, self.now + timedelta(hours=hours), None))
        else:
            self.may(aside.release(self.ops, agent.uuid))
            self.pinned.pop(agent.id, None)
        assert self.world.told == before.told, "setting a device aside is seen by nobody"

    # Time and machines

    @rule(seconds=st.sampled_from(SPANS))
    def time_passes(self, seconds: int) -> None:
        self.house.clock.now += timedelta(seconds=seconds)
        self.tell(f"{timedelta(seconds=seconds)} later")
        self._tick()

    @precondition(now_and_then)
    @rule(seconds=st.sampled_from(SPANS))
    def time_passes_while_no_engine_runs(self, seconds: int) -> None:
        self.house.clock.now += timedelta(seconds=seconds)
        self._world = None
        self.tell(f"{timedelta(seconds=seconds)} later, and no engine ran")

    @rule()
    def the_engine_ticks(self) -> None:
        self._tick()

    @precondition(now_and_then)
    @rule()
    def two_engines_tick_at_once(self) -> None:
        self.ticks.append(self.now)
        before = self.world
        self.run(self._both())
        laws.caps_hold(before, self.world)
        self._tick()

    async def _both(self) -> None:
        await asyncio.gather(reconcile(self.house.db), reconcile(self.house.other), tidy(self.house.other))

    @rule(statement=st.integers(1, 40))
    def the_engine_is_cut_off(self, statement: int) -> None:
        self.tell(f"the connection is cut before statement {statement} of a tick")
        self.ticks.append(self.now)
        before = self.world
        Fuse.left = statement
        try:
            with suppress(*CUT):
                self.run(reconcile(self.house.other))
        finally:
            Fuse.left = None
        self.run(self._until_the_server_noticed())
        self.house.complaints.heard.clear()
        laws.caps_hold(before, self.world)

    async def _until_the_server_noticed(self) -> None:
        async with self.house.db.reading() as conn:
            while await conn.fetchval(
                """
                select count(*) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid()
                   and xact_start is not null and backend_type = 'client backend'
                """
            ):
                await asyncio.sleep(0.005)

    @precondition(now_and_then)
    @rule()
    def is_tidied(self) -> None:
        before = self.world
        folded = self.run(tidy(self.house.db))
        if folded:
            self.tell(f"tidied: {folded} places")
        laws.tidying_is_seen_by_nobody(before, self.world)
        laws.whoever_is_let_in_is_let_in_when_that_may_be(before, self.world, self.by_id, self.ticks)
        laws.caps_hold(before, self.world)
        assert self.house.complaints.heard == [], self.house.complaints.heard[0]

    def _tick(self) -> None:
        before = self.world
        # What a newer rollout takes over lets an older one, which was visited before it, go on a second later.
        ticks = 1
        while self.run(reconcile(self.house.db)):
            ticks += 1
            assert ticks < 5, f"the engine makes moves without end: {self._moved(before)}"
        self.ticks = [self.now]
        if moved := self._moved(before):
            self.tell(f"engine: {moved}")
        assert self.house.complaints.heard == [], self.house.complaints.heard[0]
        laws.whoever_is_let_in_is_let_in_when_that_may_be(before, self.world, self.by_id, self.ticks)
        laws.caps_hold(before, self.world)
        laws.a_batch_holds_as_many_as_were_meant(before, self.world)
        laws.no_batch_opens_before_the_last_has_proved_itself(before, self.world)
        laws.failures_are_heeded(self.world)
        self.everything_waits()

    def _moved(self, before: World) -> str:
        return "; ".join(
            f"rollout {number} ({rollout.image}) "
            + ", ".join(f"{move.event.removeprefix('image.')} {move.frontier}" for move in moves[len(before.moves.get(number, ())) :])
            for number, rollout in self.world.rollouts.items()
            if (moves := self.world.moves[number]) and len(moves) > len(before.moves.get(number, ()))
        )

    # Laws that hold after each step

    @invariant()
    def laws_hold(self) -> None:
        """All that hold always."""
        self.steps += 1
        self.went_back |= {
            (number, place.device_id)
            for number, places in self.world.places.items()
            for place in places
            if place.live and place.taken_at and is_taken_back(place, self.world.rollouts[number])
        }
        laws.a_service_has_one_candidate_and_a_device_one_live_place_per_image(self.world)
        laws.the_history_folds_to_the_row(self.world, self.first)
        laws.the_domain_and_the_views_say_the_same(self.world)
        self.house.run(self.remembered.holds())
        laws.versions_never_fall_and_rise_with_any_change(self.world, self.fleet)
        laws.the_frontier_rises_in_time_and_no_faster_than_the_pace(self.world)
        if self.known is not None:
            laws.what_is_over_stays_over(self.known, self.world)
            laws.only_those_become_members_whom_the_filter_lets_in(self.known, self.world, self.by_id)
        self.known = self.world
        self.the_counts_are_those_of_the_documentation()

    def the_counts_are_those_of_the_documentation(self) -> None:
        """Statuses and progress, counted by SQL and derived here place by place."""
        numbers = [*self.world.rollouts]
        snapshots, explained = self.house.run(use.snapshots(self.ops, numbers)), self.house.run(use.explanations(self.ops, numbers))
        for number, rollout in self.world.rollouts.items():
            is_still = rollout.status.is_final and rollout.status is not Status.COMPLETED
            here = (rollout, self.world.places[number], None if is_still else self.now)
            if self.settled.get(number) != here:
                assert self.house.run(use.explain(self.ops, number)) == explained[number], "one alone is counted by another plan"
                by_status, by_engine, by_model = snapshots[number].counts, explained[number].progress, counted(self.world, rollout)
                assert by_status == Counter(status_of(place, rollout, self.now) for place in self.world.counted_in(number))
                # Of one that takes its image back the engine asks only who has returned, and of an ended one nothing.
                assert by_engine.returning == by_model.returning
                assert by_engine == by_model or not (rollout.status.is_active or rollout.status is Status.COMPLETED)
                self.settled[number] = here

    def everything_waits(self) -> None:
        """The engine goes as far as it can: whatever is left waits for something, and says until when if time will end it."""
        for number, rollout in self.world.rollouts.items():
            if not rollout.status.is_final:
                step = self.house.run(use.explain(self.ops, number)).next
                assert isinstance(step, Wait), f"rollout {number} would move: {step.event}"
                assert step.until is None or step.until > self.now, f"rollout {number} waits for what is past: {step}"
                assert step.until or step.on not in (On.TIME, On.WINDOW), (
                    f"rollout {number} waits for time and does not say how long: {step}"
                )

    # The end

    def teardown(self) -> None:
        """Every rollout whose devices all answer ends, if what it says it waits for comes."""
        if sys.exc_info()[0] is not None or not self.fleet:
            return
        self.tell("from here on every device does as it is told, and operators do what is waited for")
        stuck: Counter[tuple[RolloutId, int]] = Counter()
        for _ in range(ROUNDS):
            self._obey(self.fleet)
            self._tick()
            waits = self._waits()
            if not waits:
                return
            for number, wait in waits.items():
                self._help(number, wait)
                stuck[number, self.world.rollouts[number].revision] += 1
                assert stuck[number, self.world.rollouts[number].revision] < PATIENCE, f"rollout {number} hangs: {wait}"
            self.house.clock.now = max(self.now + timedelta(seconds=1), self._next(waits, stuck))
            self._world = None
        raise AssertionError(f"these never ended: {waits}")

    def _waits(self) -> dict[RolloutId, Wait]:
        found = {}
        for number, rollout in self.world.rollouts.items():
            if not rollout.status.is_final:
                step = self.house.run(use.explain(self.ops, number)).next
                assert isinstance(step, Wait)
                self.tell(f"rollout {number}: {step.on}: {step.sentence}")
                found[number] = step
        return found

    def _obey(self, some: list[Agent]) -> None:
        """Poll and report well, where there is anything to say."""
        for agent in some:
            told = self.world.told[agent.id]
            is_news = agent.told is None or (told.version, told.images) != (agent.told.version, agent.shown())
            is_awaited = any(place.live and place.outcome != "running" for place, _ in self.world.of_device(agent.id))
            if is_news or is_awaited or agent.runs != agent.shown():
                self._poll(agent)
                self._report(agent, "running")

    def _help(self, number: RolloutId, wait: Wait) -> None:
        rollout = self.world.rollouts[number]
        if wait.on is On.APPROVAL:
            who = self._as(f"approver {len(rollout.approved_by) + 1}")
            self.run(use.request(who, number, Request.APPROVE, decided_on=rollout.checksum))
        if wait.on is On.OPERATOR:
            wanted = {Status.PENDING: Request.START, Status.PAUSED: Request.RESUME, Status.IN_PROGRESS: Request.PROMOTE}[rollout.status]
            assert wanted in wait.sentence, f"“{wait.sentence}” does not say that it is {wanted} that it waits for"
            self.run(use.request(self.ops, number, wanted))

    def _next(self, waits: dict[RolloutId, Wait], stuck: Counter[tuple[RolloutId, int]]) -> datetime:
        """When time alone moves something; in some minutes where devices are waited for."""
        moments = [wait.until for wait in waits.values() if wait.until]
        rounds = [stuck[number, self.world.rollouts[number].revision] for number, wait in waits.items() if wait.on is On.DEVICES]
        return min(moments + [self.now + MINUTE * more for more in rounds], default=self.now)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    """A database with engines on it."""
    opened = House(database_url)
    yield opened
    opened.close()


@pytest.mark.timeout(900)
def test_whatever_happens_what_is_promised_holds(house: House) -> None:
    is_long = "HISTORIES" in os.environ
    run_state_machine_as_test(
        lambda: Histories(house),  # type: ignore[arg-type]
        settings=how(
            max_examples=int(os.environ.get("HISTORIES", "25")),
            stateful_step_count=int(os.environ.get("STEPS", "25")),
            derandomize=not is_long,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )
