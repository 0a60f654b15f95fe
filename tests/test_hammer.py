"""The load generator and what the poll path is compared with: they ask and answer as devices and the server do."""

import pytest

from server.process import Running
from tools.bare import BODY, serving
from tools.crowd import crowd, key_of
from tools.hammer import etags, hammer, hammer_from_outside, poll, report

NOBODY = "00000000-0000-4000-8000-000000000000"


async def _crowd(server: Running, count: int) -> list[str]:
    await crowd(server.db, count)
    async with server.db.reading() as conn:
        return [str(row["uuid"]) for row in await conn.fetch("select uuid from devices order by id")]


@pytest.mark.parametrize(("name", "status"), [("not_modified", 304), ("full_answer", 200)])
async def test_a_bare_application_answers_every_poll_alike(name: str, status: int) -> None:
    async with serving(name) as url:
        answers = await hammer(url, [poll(NOBODY, "k" * 64)], seconds=0.3, connections=3)

    assert set(answers.by_status) == {status}
    assert answers.lost == 0
    assert len(BODY) in range(500, 700)


async def test_the_crowd_is_let_in_with_keys_that_follow_from_its_uuids(server: Running) -> None:
    uuids = await _crowd(server, 7)

    right = await hammer(server.url, [poll(uuid, key_of(uuid)) for uuid in uuids], seconds=0.3, connections=2)
    # Ten wrong keys for each of the seven, and then some, also on a machine that is busy.
    wrong = await hammer(server.url, [poll(uuid, key_of(NOBODY)) for uuid in uuids], seconds=2, connections=2)

    assert (set(right.by_status), set(wrong.by_status)) == ({200}, {401, 429})


async def test_the_route_with_queries_knows_devices_by_their_keys_and_tags(server: Running) -> None:
    uuids = await _crowd(server, 7)
    polls = [poll(uuid, key_of(uuid)) for uuid in uuids]

    async with serving("route_with_queries", server.db.url) as url:
        tags = await etags(url, polls, connections=3)
        known = [poll(uuid, key_of(uuid), tag) for uuid, tag in zip(uuids, tags, strict=True)]
        there = await hammer_from_outside(url, known, seconds=0.3, connections=2)

    assert len(set(tags)) == 7
    assert set(there.by_status) == {304}


async def test_tags_come_in_the_order_of_the_devices(server: Running) -> None:
    uuids = await _crowd(server, 7)
    tags = await etags(server.url, [poll(uuid, key_of(uuid)) for uuid in uuids], connections=3)

    answers = await hammer(server.url, [poll(uuids[5], key_of(uuids[5]), tags[5])], seconds=0.3, connections=1)

    assert set(answers.by_status) == {304}


async def test_reports_are_understood_gzipped_or_not(server: Running) -> None:
    [uuid] = await _crowd(server, 1)
    body = f'{{"{uuid}": {{"apps": {{}}, "version": 1}}}}'.encode()

    for gzipped in (True, False):
        answers = await hammer(server.url, [report(key_of(uuid), body, gzipped=gzipped)], seconds=0.3, connections=2)
        assert set(answers.by_status) == {200}


async def test_connections_that_the_server_ends_are_counted() -> None:
    async with serving("not_modified") as url:
        answers = await hammer(url, [b"nonsense\r\n\r\n"], seconds=0.3, connections=2)

    assert answers.lost == 2
