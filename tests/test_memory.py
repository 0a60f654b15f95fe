"""What a process remembers, how certain it is of it, and how questions gather: the laws of each, with nothing else running."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.identity import Identity
from domain.ids import DeviceId, RolloutId
from domain.pace import Pace
from domain.reach import Place, Reach, standing
from domain.targets import Target
from resolvers.answers import Body
from resolvers.context import Context
from resolvers.freshness import FRESH, MOST_WAITING, Freshness
from resolvers.gathering import Gathering
from resolvers.memory import BODIES, Memory
from resolvers.polls import Polls
from storage.answers import Known

AT = datetime(2026, 11, 24, tzinfo=UTC)
SOON = 5


def a_reach(frontier: int, *, rollout: int = 1, reached: int | None = None, revision: int = 1, ended: bool = False) -> Reach:
    """A rollout that offers its image to so many, and has offered it to `reached`."""
    return Reach(RolloutId(rollout), frontier, frontier if reached is None else reached, revision, not ended, ended)


def a_device(number: int, version: int = 1, *, config: dict[str, object] | None = None) -> Known:
    """What was read of a device that is in no rollout."""
    uuid = UUID(int=number)
    identity = Identity(DeviceId(number), str(uuid), b"k" * 32, None, None, None, None, is_waiting=False, revoked_at=None)
    return Known(uuid.bytes, identity, Target(str(uuid), {}, config or {}, version, False), (), (), False, AT)


def a_member(number: int, reach: Reach, rank: int, version: int = 1, *, waits: bool = False) -> Known:
    """What was read of a device that has this rank in a rollout, and perhaps waits for the window of its time zone."""
    place = Place(reach.rollout_id, rank, standing(rank, reach), reach.revision if waits else None)
    return replace(a_device(number, version), places=(place,), reaches=(reach,))


def remember(memory: Memory, *known: Known, now: int = 0) -> None:
    """Have it read and remembered, with nothing in between."""
    with memory.watching() as watch:
        for one in known:
            memory.remember(one, Body.of(one, Pace()), now, watch)


def version(memory: Memory, known: Known) -> int | None:
    """The version that would be told from memory."""
    entry = memory.find(known.uuid)
    return None if entry is None else entry.version


# Memory


def test_what_is_remembered_is_what_was_read() -> None:
    memory, device = Memory(), replace(a_device(7, 14), is_awaited=True)

    remember(memory, device, now=99)

    entry = memory.find(device.uuid)
    assert entry is not None
    assert (entry.device_id, entry.version, entry.seen, entry.is_awaited, entry.key_hash) == (7, 14, 99, True, b"k" * 32)
    assert memory.body(entry.digest) == Body.of(device, Pace())


def test_a_rollout_that_moves_makes_answers_untrue_and_true_again_and_touches_none() -> None:
    memory, reach = Memory(), a_reach(2)
    members = [a_member(number, reach, rank=number) for number in range(4)]
    remember(memory, *members)

    def true() -> list[bool]:
        return [memory.find(member.uuid) is not None for member in members]

    assert true() == [True] * 4
    memory.moved(a_reach(3, revision=2))
    assert true() == [True, True, False, True], "the one that is reached now is told something else"
    memory.moved(a_reach(0, reached=3, revision=3))
    assert true() == [False, False, False, True], "everybody who was reached goes back"
    memory.moved(a_reach(2, revision=4))
    assert true() == [True] * 4
    memory.moved(a_reach(2, revision=5, ended=True))
    assert true() == [False, False, True, True], "those who were reached need not hurry any more"
    assert len(memory) == 4


def test_whoever_waits_for_its_window_is_looked_up_after_every_move() -> None:
    memory, member = Memory(), a_member(1, a_reach(5), rank=1, waits=True)
    remember(memory, member)
    assert memory.find(member.uuid) is not None

    memory.moved(a_reach(5, revision=2))

    assert memory.find(member.uuid) is None


def test_what_was_read_before_a_move_is_not_told_after_it() -> None:
    memory = Memory()
    with memory.watching() as watch:
        memory.moved(a_reach(2, revision=2))
        old = a_member(1, a_reach(0), rank=1)
        memory.remember(old, Body.of(old, Pace()), 0, watch)

    assert memory.find(old.uuid) is None


def test_a_change_that_comes_while_something_is_read_is_not_overwritten() -> None:
    memory, old, other = Memory(), a_device(1, 1), a_device(2, 1)
    with memory.watching() as slow:
        memory.drop([old.uuid])
        remember(memory, a_device(1, 2))
        for known in (old, other):
            memory.remember(known, Body.of(known, Pace()), 0, slow)

    assert (version(memory, old), version(memory, other)) == (2, 1)


def test_what_was_read_before_everything_was_forgotten_is_not_remembered() -> None:
    memory, device = Memory(), a_device(1)
    with memory.watching() as watch:
        memory.forget()
        memory.remember(device, Body.of(device, Pace()), 0, watch)

    assert (memory.find(device.uuid), len(memory), memory.times_forgotten) == (None, 0, 1)


def test_a_ranking_that_is_seen_while_something_is_read_is_not_overlooked() -> None:
    memory, device = Memory(), a_device(1)
    with memory.watching() as watch:
        memory.ranked(a_reach(0))
        memory.remember(device, Body.of(device, Pace()), 0, watch)
    memory.all_joined(RolloutId(1))
    memory.moved(a_reach(10, revision=2))

    assert memory.find(device.uuid) is None


def test_until_all_members_are_known_nobody_who_may_be_one_is_told_from_memory_once_the_rollout_reached_anybody() -> None:
    memory, before, after = Memory(), a_device(1), a_device(2)
    remember(memory, before)
    memory.ranked(a_reach(0))
    remember(memory, after)

    assert (version(memory, before), version(memory, after), memory.unread) == (1, 1, 1), "it has reached nobody"
    memory.moved(a_reach(1, revision=2))
    assert (version(memory, before), version(memory, after)) == (None, 1)
    memory.all_joined(RolloutId(1))
    assert (version(memory, before), memory.unread) == (1, None)


def test_members_that_joined_are_told_from_memory_until_the_rollout_reaches_them() -> None:
    memory, devices = Memory(), [a_device(number) for number in range(4)]
    remember(memory, *devices)
    memory.ranked(a_reach(0))
    memory.join(RolloutId(1), [(device.uuid, rank) for rank, device in enumerate(devices[:3])])
    memory.all_joined(RolloutId(1))

    for reached in range(4):
        memory.moved(a_reach(reached, revision=reached))
        assert [memory.find(device.uuid) is not None for device in devices] == [False] * reached + [True] * (4 - reached)


def test_a_thousand_rollouts_that_never_reached_a_device_leave_no_trace_of_themselves() -> None:
    memory, device = Memory(), a_device(1)
    remember(memory, device)

    def pushed(rollout: int, **ended: int) -> None:
        memory.ranked(a_reach(0, rollout=rollout))
        memory.join(RolloutId(rollout), [(device.uuid, 5)])
        memory.all_joined(RolloutId(rollout))
        memory.moved(a_reach(ended.get("reached", 3), rollout=rollout, revision=2, ended=True))

    pushed(1)
    pushed(2)
    after_two = len(memory._entries[device.uuid])
    for rollout in range(3, 1000):
        pushed(rollout)
    assert len(memory._entries[device.uuid]) == after_two
    assert memory.find(device.uuid) is not None

    pushed(1000, reached=6)
    pushed(1001)
    assert memory.find(device.uuid) is None, "one that did reach it is not forgotten"


def test_two_rankings_at_once_are_joined_one_by_one() -> None:
    memory, device = Memory(), a_device(1)
    remember(memory, device)
    memory.ranked(a_reach(0, rollout=1))
    memory.ranked(a_reach(0, rollout=2))
    memory.join(RolloutId(1), [(device.uuid, 5)])
    memory.all_joined(RolloutId(1))

    memory.moved(a_reach(1, rollout=2))
    assert memory.find(device.uuid) is None, "it may be the first of the second"
    memory.join(RolloutId(2), [(device.uuid, 9)])
    memory.all_joined(RolloutId(2))
    assert memory.find(device.uuid) is not None
    memory.moved(a_reach(6, rollout=1))
    assert memory.find(device.uuid) is None


def test_who_is_remembered_with_its_place_needs_not_join() -> None:
    memory = Memory()
    memory.ranked(a_reach(0))
    member = a_member(1, a_reach(3, revision=2), rank=1)
    memory.moved(a_reach(3, revision=2))
    remember(memory, member)

    memory.join(RolloutId(1), [(member.uuid, 1)])

    assert memory.find(member.uuid) is not None


def test_forgetting_forgets_everything() -> None:
    memory, members = Memory(), [a_member(number, a_reach(2), rank=number) for number in range(4)]
    remember(memory, *members)
    memory.ranked(a_reach(2, rollout=2))

    memory.forget()
    memory.join(RolloutId(2), [(members[0].uuid, 0)])
    memory.all_joined(RolloutId(2))

    assert [memory.find(member.uuid) for member in members] == [None] * 4
    assert (len(memory), memory.unread) == (0, None)
    remember(memory, members[0])
    assert version(memory, members[0]) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda known: replace(known, target=replace(known.target, has_untaken_offer=True)),
        lambda known: replace(known, identity=replace(known.identity, revoked_at=AT)),
        lambda known: replace(known, identity=replace(known.identity, is_waiting=True)),
        lambda known: replace(known, identity=replace(known.identity, key_hash=None)),
    ],
    ids=["an offer to be taken", "revoked", "waits to be accepted", "without a key"],
)
def test_what_only_the_database_may_answer_is_not_remembered(change: Callable[[Known], Known]) -> None:
    memory, known = Memory(), change(a_device(1))

    remember(memory, known)

    assert len(memory) == 0


def test_reading_a_device_again_does_not_make_it_unheard_of() -> None:
    memory, device = Memory(), a_device(1)
    remember(memory, device, now=50)
    memory.saw(device.uuid, 70)

    remember(memory, replace(device, target=replace(device.target, version=2)))

    entry = memory.find(device.uuid)
    assert entry is not None
    assert (entry.version, entry.seen) == (2, 70)


def test_bodies_take_no_more_than_they_may_and_those_that_are_asked_for_stay() -> None:
    memory = Memory()
    devices = [a_device(number, config={"text": "x" * 1_000_000, "number": number}) for number in range(BODIES // 1_000_000 + 5)]
    digests = [Body.of(device, Pace()).digest for device in devices]
    for device in devices:
        remember(memory, device)
        assert memory.body(digests[0]) is not None

    kept = [body for body in map(memory.body, digests) if body is not None]
    assert sum(body.size for body in kept) <= BODIES
    assert len(kept) > len(devices) - 8
    assert (memory.body(digests[1]), memory.find(devices[1].uuid) is not None) == (None, True), "the device is known all the same"


def test_a_body_is_counted_once_however_many_devices_share_it() -> None:
    memory, body = Memory(), Body.of(a_device(0, config={"text": "x" * 1_000_000}), Pace())
    with memory.watching() as watch:
        for number in range(200):
            memory.remember(a_device(number), body, 0, watch)

    assert memory.body(body.digest) is body


# Freshness


def look(freshness: Freshness) -> None:
    """Look, and see nothing."""
    with freshness.look():
        pass


@asynccontextmanager
async def looking(freshness: Freshness) -> AsyncIterator[list[int]]:
    """Look whenever it is wanted, each time for a while; yields a list of one, how often."""
    looks = [0]

    async def keep_looking() -> None:
        while True:
            await freshness.wanted(30)
            with freshness.look():
                looks[0] += 1
                await asyncio.sleep(0.02)

    task = asyncio.create_task(keep_looking())
    yield looks
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def turn() -> None:
    """Let everybody go on until they wait."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nothing_is_certain_before_the_first_look_nor_long_after_the_last() -> None:
    freshness = Freshness()
    assert not freshness.is_fresh()
    look(freshness)
    assert freshness.is_fresh()

    await asyncio.sleep(FRESH * 1.1)

    assert not freshness.is_fresh()


def test_after_a_commit_only_a_later_look_counts() -> None:
    freshness = Freshness()
    with freshness.look():
        freshness.expire()
    assert not freshness.is_fresh(), "it began before"
    look(freshness)
    assert freshness.is_fresh()


async def test_a_hundred_who_want_to_be_certain_cause_two_looks_at_most() -> None:
    freshness = Freshness()
    look(freshness)
    async with looking(freshness) as looks:
        await asyncio.gather(*(freshness.certain() for _ in range(100)))
        assert looks[0] <= 2

        looks[0] = 0
        first = asyncio.create_task(freshness.certain())
        await asyncio.sleep(0.01)
        await asyncio.gather(first, *(freshness.certain() for _ in range(99)))
        assert looks[0] == 2, "one was under way when the others came"


async def test_a_look_that_began_before_the_question_does_not_count_for_it() -> None:
    freshness = Freshness()
    look(freshness)
    with freshness.look():
        certain = asyncio.create_task(freshness.certain())
        await turn()
    await turn()
    assert not certain.done()

    look(freshness)

    await asyncio.wait_for(certain, SOON)


async def test_whoever_proved_itself_is_told_the_whole_unless_its_key_is_replaced_before_that_is_certain(operator: Context) -> None:
    polls, device = Polls(operator.db, Pace()), a_device(7)
    with_another_key = replace(device, identity=replace(device.identity, key_hash=b"K" * 32))
    look(polls.freshness)
    for found, told in ((device, True), (with_another_key, False), (None, False)):
        remember(polls.memory, device)
        proved = polls.memory.find(device.uuid)
        assert proved is not None
        answer = asyncio.create_task(polls.whole(device.uuid, proved))
        await turn()
        polls.memory.drop([device.uuid])
        remember(polls.memory, *([] if found is None else [found]))
        assert not answer.done()
        look(polls.freshness)
        assert (await asyncio.wait_for(answer, SOON) is not None) == told


async def test_whoever_asks_during_a_look_has_the_next_one_taken_at_once() -> None:
    freshness = Freshness()
    look(freshness)
    with freshness.look():
        certain = asyncio.create_task(freshness.certain())
        await turn()

    await asyncio.wait_for(freshness.wanted(600), SOON)
    look(freshness)

    await certain


async def test_no_more_wait_than_may() -> None:
    freshness = Freshness()
    look(freshness)
    waiting = [asyncio.create_task(freshness.certain()) for _ in range(MOST_WAITING)]
    await turn()

    with pytest.raises(TimeoutError):
        await freshness.certain()
    look(freshness)

    assert await asyncio.gather(*waiting) == [None] * MOST_WAITING


async def test_a_look_that_fails_tells_all_who_wait() -> None:
    freshness = Freshness()
    look(freshness)
    early = asyncio.create_task(freshness.certain())
    await turn()

    late = []
    with suppress(OSError), freshness.look():
        late.append(asyncio.create_task(freshness.certain()))
        await turn()
        raise OSError("away")

    assert [type(answer) for answer in await asyncio.gather(early, *late, return_exceptions=True)] == [TimeoutError] * 2
    assert freshness.is_fresh(), "what was seen before is no older for it"


async def test_while_the_database_is_lost_one_waits_for_it_and_the_others_are_told_at_once() -> None:
    freshness = Freshness()
    look(freshness)
    freshness.lose()
    first = asyncio.create_task(freshness.certain())
    await turn()

    for _ in range(10):
        with pytest.raises(TimeoutError):
            await freshness.certain()
    assert not first.done()
    look(freshness)

    await asyncio.wait_for(first, SOON)
    async with looking(freshness):
        await asyncio.gather(*(freshness.certain() for _ in range(10)))


async def test_whoever_gives_up_harms_nobody() -> None:
    freshness = Freshness()
    look(freshness)
    gone, stays = (asyncio.create_task(freshness.certain()) for _ in range(2))
    await turn()
    gone.cancel()
    await turn()

    look(freshness)

    await asyncio.wait_for(stays, SOON)


# Gathering


class Oracle:
    """Answers n with 10 n, once it may; some it fails at, and some it leaves out for now."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.may.set()
        self.sets: list[list[int]] = []
        self.at_once = self.most_at_once = 0
        self.poison: dict[int, Exception] = {}
        self.left_out: dict[int, int] = {}
        """For how many times."""

    async def answer(self, questions: list[int]) -> Mapping[int, int]:
        self.sets.append(questions)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.may.wait()
            await asyncio.sleep(0)
        finally:
            self.at_once -= 1
        for question in questions:
            if question in self.poison:
                raise self.poison[question]
        return {question: 10 * question for question in questions if not self._leaves_out(question)}

    def _leaves_out(self, question: int) -> bool:
        times = self.left_out.get(question, 0)
        self.left_out[question] = times - 1
        return times > 0


@asynccontextmanager
async def gathering(oracle: Oracle, *, most: int = 100, room: int = 1000, at_once: int = 2) -> AsyncIterator[Gathering[int, int]]:
    """Questions to the oracle, while the block runs."""
    gathers = Gathering(oracle.answer, most=most, room=room, at_once=at_once)
    async with gathers.running():
        yield gathers


def asking(gathers: Gathering[int, int], *questions: int) -> list[asyncio.Task[int]]:
    """Each question from somebody of its own."""
    return [asyncio.create_task(gathers.ask(question)) for question in questions]


async def test_questions_that_come_while_one_is_answered_are_answered_together() -> None:
    oracle = Oracle()
    async with gathering(oracle, most=40, at_once=1) as gathers:
        oracle.may.clear()
        first = asking(gathers, 0)
        await turn()
        others = asking(gathers, *range(1, 101))
        await turn()
        oracle.may.set()

        assert await asyncio.gather(*first, *others) == [10 * number for number in range(101)]
    assert [len(one) for one in oracle.sets] == [1, 40, 40, 20]


async def test_no_more_sets_are_under_way_than_may() -> None:
    oracle = Oracle()
    async with gathering(oracle, most=3, at_once=2) as gathers:
        await asyncio.gather(*asking(gathers, *range(50)))
    assert oracle.most_at_once == 2


async def test_the_same_question_from_many_is_asked_once() -> None:
    oracle = Oracle()
    async with gathering(oracle) as gathers:
        assert await asyncio.gather(*asking(gathers, *[7] * 50)) == [70] * 50
    assert oracle.sets == [[7]]


async def test_an_answer_that_was_under_way_before_the_question_does_not_count_for_it() -> None:
    oracle = Oracle()
    async with gathering(oracle) as gathers:
        oracle.may.clear()
        early = asking(gathers, 7)
        await turn()
        late = asking(gathers, 7, 7)
        await turn()
        oracle.may.set()

        assert await asyncio.gather(*early, *late) == [70] * 3
    assert oracle.sets == [[7], [7]]


async def test_what_is_left_out_is_asked_again_with_what_came_meanwhile() -> None:
    oracle = Oracle()
    oracle.left_out = {3: 4}
    async with gathering(oracle) as gathers:
        assert await asyncio.gather(*asking(gathers, *range(5))) == [0, 10, 20, 30, 40]
    assert [one for one in oracle.sets if 3 in one] == [[0, 1, 2, 3, 4], [3], [3], [3], [3]]


async def test_one_that_cannot_be_answered_does_not_take_the_others_with_it() -> None:
    oracle = Oracle()
    oracle.poison = {3: ValueError("three")}
    async with gathering(oracle) as gathers:
        answers = await asyncio.gather(*asking(gathers, *range(5)), return_exceptions=True)
        assert answers == [0, 10, 20, oracle.poison[3], 40]
        assert await gathers.ask(6) == 60


@pytest.mark.parametrize("error", [OSError("away"), TimeoutError("slow")])
async def test_while_the_database_is_away_all_are_told_so_together(error: Exception) -> None:
    oracle = Oracle()
    oracle.poison = {3: error}
    async with gathering(oracle) as gathers:
        answers = await asyncio.gather(*asking(gathers, *range(5)), return_exceptions=True)
        assert answers == [error] * 5
    assert len(oracle.sets) == 1


async def test_there_is_room_for_so_many_and_again_once_they_are_answered() -> None:
    oracle = Oracle()
    async with gathering(oracle, room=10) as gathers:
        oracle.may.clear()
        waiting = asking(gathers, *range(10))
        await turn()
        with pytest.raises(TimeoutError):
            await gathers.ask(99)
        oracle.may.set()
        await asyncio.gather(*waiting)

        assert await gathers.ask(99) == 990


async def test_whoever_goes_away_leaves_nothing_and_takes_nobody_along() -> None:
    oracle = Oracle()
    async with gathering(oracle, room=4, at_once=1) as gathers:
        oracle.may.clear()
        [under_way] = asking(gathers, 1)
        await turn()
        gone, stays, last = asking(gathers, 2, 3, 3)
        await turn()
        for task in (under_way, gone, stays):
            task.cancel()
        await turn()
        more = asking(gathers, 4, 5, 6)
        await turn()
        oracle.may.set()

        assert await asyncio.gather(last, *more) == [30, 40, 50, 60]
    assert oracle.sets == [[1], [3, 4, 5, 6]], "nobody waits for 2"


async def test_nobody_is_left_waiting_when_it_ends() -> None:
    oracle = Oracle()
    async with gathering(oracle, most=1, at_once=1) as gathers:
        oracle.may.clear()
        waiting = asking(gathers, 1, 2, 3)
        await turn()

    answers = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), SOON)
    assert [type(answer) for answer in answers] == [TimeoutError] * 3
