"""How many streams somebody may hold, and when they have to end."""

import asyncio
from contextlib import ExitStack
from datetime import timedelta

import pytest

from domain.actors import Actor, Role
from domain.errors import Limited, Unauthenticated
from domain.ids import TokenId
from resolvers import tokens
from resolvers.context import Context
from server.graphql import connections
from server.graphql.connections import Connection, Connections, Stopping, Transport
from storage.database import Database
from tests.clock import MovableClock


def held(stack: ExitStack, of: Connections, address: str = "10.0.0.1", actor: Actor | None = None) -> Connection:
    """A stream that is open until the stack is left."""
    connection = stack.enter_context(of.opened(address, Transport.WEBSOCKET))
    if actor is not None:
        connection.belongs_to(actor)
    return connection


def holder(token: int) -> Actor:
    return Actor.of("rita", Role.READER, TokenId(token))


async def test_one_address_holds_no_more_than_its_share_and_takes_from_no_other() -> None:
    streams = Connections(per_address=2, per_token=10)
    with ExitStack() as open_:
        held(open_, streams)
        with ExitStack() as left:
            held(left, streams)
            with pytest.raises(Limited, match="more than 2 streams at once from one address"):
                held(open_, streams)
            held(open_, streams, "10.0.0.2")
        held(open_, streams)
        assert len(streams) == 3


async def test_all_the_addresses_of_one_host_are_one() -> None:
    streams = Connections(per_address=1, per_token=10)
    with ExitStack() as open_:
        held(open_, streams, "2001:db8::1")
        held(open_, streams, "10.0.0.1")
        for same in ("2001:db8::ffff:2", "::ffff:10.0.0.1"):
            with pytest.raises(Limited):
                held(open_, streams, same)


async def test_one_token_holds_no_more_than_its_share_wherever_it_is_used() -> None:
    streams = Connections(per_address=10, per_token=2)
    with ExitStack() as open_:
        held(open_, streams, "10.0.0.1", holder(1))
        with ExitStack() as left:
            held(left, streams, "10.0.0.2", holder(1))
            with pytest.raises(Limited, match="more than 2 streams at once with one token"), ExitStack() as third:
                held(third, streams, "10.0.0.3", holder(1))
            held(open_, streams, "10.0.0.1", holder(2))
        held(open_, streams, "10.0.0.3", holder(1))


async def test_all_together_hold_no_more_than_the_process_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 3)
    streams = Connections(per_address=10, per_token=10)
    with ExitStack() as open_:
        for number in range(3):
            held(open_, streams, f"10.0.0.{number}")
        with pytest.raises(Limited, match="more than 3 streams at once"):
            held(open_, streams, "10.0.0.4")
    held(open_, streams, "10.0.0.4")


async def test_nothing_is_remembered_of_who_has_gone_or_was_not_let_in() -> None:
    streams = Connections(per_address=1, per_token=1)
    for number in range(1_000):
        with ExitStack() as open_:
            held(open_, streams, f"10.0.{number >> 8}.{number & 255}", holder(number))
            with pytest.raises(Limited):
                held(open_, streams, "10.1.0.1", holder(number))

    assert (len(streams), [*streams._addresses], [*streams._tokens]) == (0, [], [])


async def test_streams_end_whose_token_was_revoked_or_has_expired_and_no_others(
    db: Database, operator: Context, clock: MovableClock
) -> None:
    kept, revoked, expired = [
        await tokens.actor(db, await tokens.issue(db, name, Role.READER, life))
        for name, life in (("kim", timedelta(days=2)), ("rob", None), ("eve", timedelta(hours=1)))
    ]
    streams = Connections(10, 10)
    with ExitStack() as open_:
        of_kept, *of_revoked, of_expired = [held(open_, streams, actor=actor) for actor in (kept, revoked, revoked, expired)]
        nobodys = held(open_, streams)
        assert revoked.token is not None
        await tokens.revoke(Context(db, operator.feed, Actor.administrator("ada")), revoked.token)
        await streams.look(db)
        clock.advance(hours=1)
        await streams.look(db)

        assert all(str(one.ended.result()).startswith("the token was revoked on ") for one in of_revoked)
        assert str(of_expired.ended.result()).startswith("the token expired on ")
        assert isinstance(of_expired.ended.result(), Unauthenticated)
        assert {of_kept.ended.done(), nobodys.ended.done()} == {False}


async def test_no_stream_ends_while_the_database_is_away(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Database.connect(database_url) as away:
        pass
    streams = Connections(10, 10)
    with ExitStack() as open_:
        connection = held(open_, streams)
        await streams.look(away)
        assert caplog.records == [], "it was asked, though nobody came with a token"

        connection.belongs_to(holder(1))
        await streams.look(away)
        assert not connection.ended.done()
        assert "which tokens still count" in caplog.text


async def test_tokens_are_looked_at_for_as_long_as_the_server_runs(
    db: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOOK_EVERY", 0.05)
    actor = await tokens.actor(db, await tokens.issue(db, "eve", Role.READER, timedelta(hours=1)))
    streams = Connections(10, 10)
    async with streams.running(db):
        with ExitStack() as open_:
            connection = held(open_, streams, actor=actor)
            clock.advance(hours=1)
            async with asyncio.timeout(2):
                assert isinstance(await connection.ended, Unauthenticated)


async def test_a_drain_ends_streams_one_after_the_other_in_no_order_and_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ENDING_PER_SECOND", 100.0)
    clock = asyncio.get_running_loop().time
    streams, ends = Connections(100, 100), list[tuple[float, int]]()

    async def note(number: int, connection: Connection) -> None:
        await connection.ended
        ends.append((clock(), number))

    with ExitStack() as open_:
        notes = [note(number, held(open_, streams)) for number in range(30)]
        began = clock()
        draining = asyncio.gather(streams.drain(), *notes)
        while not draining.done():
            await asyncio.sleep(0.01)
            with pytest.raises(Stopping):
                held(open_, streams)

    times, order = zip(*ends, strict=True)
    assert sorted(order) == list(range(30)) != list(order)
    assert len(set(times)) == 30
    assert all(time - began > place / 100 - 0.005 for place, time in enumerate(times))
    assert times[-1] - began < 2


async def test_a_few_streams_are_drained_at_once() -> None:
    streams = Connections(100, 100)
    with ExitStack() as open_:
        some = [held(open_, streams) for _ in range(99)]
        async with asyncio.timeout(0.5):
            await streams.drain()
        assert {type(one.ended.result()) for one in some} == {Stopping}


async def test_a_stream_that_ends_for_two_reasons_says_the_first() -> None:
    streams = Connections(10, 10)
    with ExitStack() as open_:
        connection = held(open_, streams)
        connection.end(Unauthenticated("first"))
        await streams.drain()
        assert str(await connection.ended) == "first"


async def test_what_goes_on_over_a_stream_is_cut_off_when_that_has_to_end() -> None:
    streams = Connections(10, 10)
    with ExitStack() as open_:
        connection = held(open_, streams)
        loop = asyncio.get_running_loop()
        loop.call_soon(connection.end, Unauthenticated("why"))
        for _ in range(2):  # also when it had to end before
            with pytest.raises(Unauthenticated, match="why"):
                async with asyncio.timeout(1), connection.lasting():
                    await asyncio.Event().wait()


async def test_what_ends_by_itself_ends_as_it_would_without() -> None:
    streams = Connections(10, 10)
    with ExitStack() as open_:
        connection = held(open_, streams)
        async with connection.lasting():
            pass
        with pytest.raises(TimeoutError, match="the database"):
            async with connection.lasting():
                raise TimeoutError("the database")
        connection.end(Stopping())
        await asyncio.sleep(0)  # nobody is cut off who is not in there any more
