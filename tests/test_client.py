"""The typed client: that it is today's, and what programs get from it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest
from graphql import build_schema, concat_ast, parse, validate

from rollwave import Refused, Rollwave, Unreachable, follow, moved, rollout_by
from rollwave.api import CreateRolloutInput, ErrorCode, PauseRolloutInput, RolloutStatus, StartRolloutInput
from rollwave.api.fragments import Progress
from rollwave.api.start_rollout import StartRolloutStartRolloutConflictError
from schema.nodes import node_id
from server.process import running
from server.settings import Settings
from storage.database import Database
from tests.api import Api, eventually, everything
from tests.conftest import SECRET
from tools.client import DOCUMENTS, FINGERPRINT, fingerprint
from tools.snapshots import GRAPHQL

ROLLOUT = node_id("Rollout", 1)


@pytest.fixture
async def rollwave(api: Api) -> AsyncIterator[Rollwave]:
    """A program's connection, with an operator's token."""
    async with Rollwave(str(api.url), api.token) as rollwave:
        yield rollwave


async def _under_way(api: Api) -> None:
    """A rollout of nginx:1.27 to one device, which has not heard of it yet."""
    await api.devices("nginx:1.26")
    await api.policy()
    await api.push("nginx:1.27")
    await eventually(api.status, "IN_PROGRESS")


def test_what_the_client_asks_can_be_asked_of_todays_schema() -> None:
    documents = concat_ast([parse(document.read_text()) for document in sorted(DOCUMENTS.glob("*.graphql"))])

    assert validate(build_schema(GRAPHQL.read_text()), documents) == []


def test_the_client_is_generated_from_todays_schema_and_documents() -> None:
    assert fingerprint() == FINGERPRINT.read_text(), "run `make client` and read the diff"


async def test_a_mutation_answers_what_it_made_and_the_same_for_the_same_key(api: Api, rollwave: Rollwave) -> None:
    await api.devices("nginx:1.26")
    wanted = CreateRolloutInput(policy=await api.policy(), image="nginx:1.27", idempotency_key="run 17")

    rollout = moved(await rollwave.create_rollout(wanted))
    again = moved(await rollwave.create_rollout(wanted))

    assert (rollout.number, rollout.image.reference, rollout.policy.number) == (1, "nginx:1.27", 1)
    assert again.id == rollout.id == (await rollout_by(rollwave, "1")).id


async def test_a_refusal_is_an_answer_of_its_own_type_and_changes_nothing(api: Api, rollwave: Rollwave, db: Database) -> None:
    await _under_way(api)
    before = await everything(db)

    answer = await rollwave.start_rollout(StartRolloutInput(id=ROLLOUT))

    assert isinstance(answer, StartRolloutStartRolloutConflictError)
    assert answer.code is ErrorCode.ILLEGAL_MOVE
    with pytest.raises(Refused, match="cannot start") as refused:
        moved(answer)
    assert refused.value.code == "ILLEGAL_MOVE"
    assert await everything(db) == before


async def test_an_unknown_token_is_refused_over_http_and_over_websocket(api: Api) -> None:
    async with Rollwave(str(api.url), "unknown") as stranger:
        with pytest.raises(Refused) as asking:
            await stranger.check()
        with pytest.raises(Refused) as following:
            await anext(follow(stranger, ROLLOUT))

    assert asking.value.code == "UNAUTHENTICATED"
    assert following.value.code in ("UNAUTHENTICATED", "FORBIDDEN")


async def test_a_rollout_is_followed_to_its_end(api: Api, rollwave: Rollwave) -> None:
    await _under_way(api)
    device = await api.device("00000000-0000-4000-8000-000000000001")

    seen = []
    async for progress in follow(rollwave, ROLLOUT):
        seen.append(progress.status)
        if len(seen) == 1:
            moved(await rollwave.pause_rollout(PauseRolloutInput(id=ROLLOUT, reason="lunch")))
        if progress.reason == "lunch":
            await api.request("resume")
            await device.obey()

    assert seen[0] is RolloutStatus.IN_PROGRESS
    assert RolloutStatus.PAUSED in seen
    assert seen[-1] is RolloutStatus.COMPLETED


async def test_a_rollout_is_followed_over_a_restart_of_the_server(database_url: str, settings: Settings) -> None:
    lost = list[Unreachable]()
    async with running(settings, database_url) as server, Api.of(server, SECRET) as api:
        await _under_way(api)
        rollwave = Rollwave(str(api.url), api.token)
        moments = follow(rollwave, ROLLOUT, lost=lost.append)
        assert (await anext(moments)).status is RolloutStatus.IN_PROGRESS
        further = asyncio.create_task(_statuses(moments))

    async with running(replace(settings, port=_port(server.url)), database_url) as server, Api.of(server, SECRET) as api:
        await api.request("cancel")
        assert (await asyncio.wait_for(further, 20))[-1] is RolloutStatus.CANCELLED
    assert lost
    await rollwave.http_client.aclose()


async def test_a_server_that_stays_away_is_unreachable_once_patience_is_over(database_url: str, settings: Settings) -> None:
    async with running(settings, database_url) as server, Api.of(server, SECRET) as api:
        await _under_way(api)
        rollwave = Rollwave(str(api.url), api.token)
        moments = follow(rollwave, ROLLOUT, patience=0.5)
        await anext(moments)
        further = asyncio.create_task(_statuses(moments))

    with pytest.raises(Unreachable, match="cannot be reached"):
        await asyncio.wait_for(further, 20)
    async with rollwave:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await rollwave.check()


async def _statuses(moments: AsyncGenerator[Progress, None]) -> list[RolloutStatus]:
    async with aclosing(moments):
        return [progress.status async for progress in moments]


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
