"""Whoever guesses keys is slowed, and nobody else: for each address and device, and for each address that registers."""

from collections.abc import Awaitable, Callable

import pytest

from domain.errors import NotFound, WrongKey
from server.limits import MOST_REMEMBERED, SECONDS, WRONG, Guesses
from server.process import Running
from tests.api import Agent, Api, everything, nth

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Watch:
    """A clock that stands until it is told how late it is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def guesses(watch: Watch) -> Guesses:
    return Guesses(watch)


def guess(guesses: Guesses, times: int, address: str = HERE, uuid: str = nth(1)) -> None:
    for _ in range(times):
        guesses.wrong(address, uuid)


def test_the_tenth_wrong_key_in_a_minute_locks_its_address_and_device_for_a_minute(guesses: Guesses, watch: Watch) -> None:
    guess(guesses, WRONG - 1)
    assert guesses.locked(HERE, nth(1)) is None

    guess(guesses, 1)

    assert guesses.locked(HERE, nth(1)) == SECONDS
    assert guesses.locked(HERE, nth(2)) is guesses.locked(THERE, nth(1)) is None
    watch.now += SECONDS - 0.5
    assert guesses.locked(HERE, nth(1)) == 1
    watch.now += 0.5
    assert guesses.locked(HERE, nth(1)) is None


def test_after_a_lock_there_are_ten_tries_again(guesses: Guesses, watch: Watch) -> None:
    guess(guesses, WRONG)
    watch.now += SECONDS

    guess(guesses, WRONG - 1)
    assert guesses.locked(HERE, nth(1)) is None
    guess(guesses, 1)
    assert guesses.locked(HERE, nth(1)) == SECONDS


def test_a_device_that_errs_now_and_then_is_never_locked(guesses: Guesses, watch: Watch) -> None:
    for _ in range(100):
        guess(guesses, 1)
        watch.now += SECONDS / (WRONG - 1)
        assert guesses.locked(HERE, nth(1)) is None


@pytest.mark.parametrize("alike", ["0000000A-0000-4000-8000-000000000001", "0000000a000040008000000000000001"])
def test_a_uuid_is_the_same_however_it_is_written(guesses: Guesses, alike: str) -> None:
    guess(guesses, WRONG, uuid=alike)

    assert guesses.locked(HERE, "0000000a-0000-4000-8000-000000000001") == SECONDS


def test_all_addresses_of_one_host_are_one(guesses: Guesses) -> None:
    for number in range(WRONG):
        guesses.wrong(f"2001:db8:1:2::{number}", nth(1))
        guesses.wrong(f"::ffff:192.0.2.{number}", nth(1))

    assert guesses.locked("2001:db8:1:2:ffff::", nth(1)) == SECONDS
    assert guesses.locked("2001:db8:1:3::1", nth(1)) is None
    assert guesses.locked("192.0.2.3", nth(1)) is None, "others than that host carry these"
    guess(guesses, WRONG - 1, "192.0.2.3")
    assert guesses.locked("::ffff:192.0.2.3", nth(1)) == SECONDS


def test_what_is_remembered_has_bounds_and_ends(guesses: Guesses, watch: Watch) -> None:
    for number in range(MOST_REMEMBERED + 100):
        guesses.wrong(f"host {number}")
    assert len(guesses._known) == MOST_REMEMBERED

    watch.now += SECONDS
    guesses.wrong(HERE)
    assert len(guesses._known) == 1


def test_only_wrong_keys_are_counted(guesses: Guesses) -> None:
    def attempt(error: Exception | None) -> None:
        with guesses.watched(HERE, nth(1)):
            if error is not None:
                raise error

    for _ in range(2 * WRONG):
        attempt(None)
        with pytest.raises(NotFound):
            attempt(NotFound("no such device"))
    assert guesses.locked(HERE, nth(1)) is None
    for _ in range(WRONG):
        with pytest.raises(WrongKey):
            attempt(WrongKey("no"))
    assert guesses.locked(HERE, nth(1)) == SECONDS


# Over HTTP


async def _status(agent: Agent, key: str, path: str = "state", method: str = "get") -> tuple[int, str | None]:
    headers = {"X-Device-API-Key": key}
    async with agent.http.request(method, f"/api/v1/device/{agent.uuid}/{path}", headers=headers) as response:
        return response.status, response.headers.get("retry-after")


async def _polls(agent: Agent, key: str) -> tuple[int, str | None]:
    return await _status(agent, key)


async def _exchanges(agent: Agent, key: str) -> tuple[int, str | None]:
    return await _status(agent, key, "key-exchange", "post")


async def _reports(agent: Agent, key: str) -> tuple[int, str | None]:
    async with agent.http.patch("/api/v1/device/state", json={agent.uuid: {}}, headers={"X-Device-API-Key": key}) as response:
        return response.status, response.headers.get("retry-after")


@pytest.mark.parametrize("asks", [_polls, _exchanges, _reports])
async def test_after_ten_wrong_keys_not_even_the_right_one_is_looked_at(
    server: Running, api: Api, asks: Callable[[Agent, str], Awaitable[tuple[int, str | None]]]
) -> None:
    agent, other = await api.devices("nginx:1.27", "nginx:1.27")
    before = await everything(server.db)

    assert {await asks(agent, "wrong") for _ in range(WRONG)} == {(401, None)}

    for question in (_polls, _exchanges, _reports):
        status, after = await question(agent, agent.key)
        assert (status, 0 < int(after or 0) <= SECONDS) == (429, True)
        assert (await question(agent, "wrong"))[0] == 429
    assert await everything(server.db) == before
    assert (await asks(other, other.key))[0] == 200


async def test_a_device_without_any_key_is_not_taken_for_one_that_guesses(api: Api) -> None:
    agent = await api.device(nth(1))

    assert {(await _polls(agent, ""))[0] for _ in range(2 * WRONG)} == {401}
    assert (await _polls(agent, agent.key))[0] == 200


async def test_after_ten_wrong_provisioning_keys_nobody_registers_from_there_for_a_minute(server: Running, api: Api) -> None:
    key = await api.provisioning_key()
    known = Agent(api.http, nth(1))
    for number in range(1, 20):
        assert (await Agent(api.http, nth(number)).register(key))[0] == 200, "those who are let in do not count"

    assert [(await Agent(api.http, nth(99)).register("wrong"))[0] for _ in range(WRONG + 1)] == [401] * WRONG + [429]

    before = await everything(server.db)
    status, answer = await Agent(api.http, nth(99)).register(key)
    assert (status, answer["error"].startswith("too many wrong keys; try again in ")) == (429, True)
    assert await everything(server.db) == before
    assert (await known.poll())[0] == 200, "devices that are in go on"


async def test_a_key_that_has_ended_is_no_guess(api: Api) -> None:
    key, other = await api.provisioning_key(maxUses=1), await api.provisioning_key()
    for number in range(1, 2 * WRONG):
        await Agent(api.http, nth(number)).register(key)

    assert (await Agent(api.http, nth(50)).register(other))[0] == 200
