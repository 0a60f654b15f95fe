"""ETags: what an agent holds is recognised however it writes it, and nothing else is."""

import re
from typing import Any

import pytest

from tests.api import Api
from tests.conformance.agents import Agent, apps, service
from tests.conformance.test_polls import wanted


@pytest.fixture
async def held(operator: Api, agent: Agent) -> str:
    """The ETag of a device that knows what to run."""
    await operator.set_target(agent.uuid, wanted(imageName="nginx:1.27"))
    return (await agent.poll()).headers["ETag"]


async def is_known(agent: Agent, if_none_match: str) -> bool:
    """Whether a poll that holds this is answered with 304; if it is not, it must be answered in full."""
    answer = await agent.poll(if_none_match)
    if answer.status == 304:
        return True
    assert (answer.status, agent.uuid in answer.said) == (200, True)
    return False


async def test_any_etag_is_strong_and_quoted(held: str) -> None:
    assert re.fullmatch(r'"[!#-~]+"', held)


async def test_any_etag_stays_while_nothing_changes(agent: Agent, held: str) -> None:
    assert {(await agent.poll()).headers["ETag"] for _ in range(3)} == {held}


async def test_any_device_that_holds_nothing_is_always_answered_in_full(agent: Agent, held: str) -> None:
    answers = [await agent.poll() for _ in range(3)]

    assert [(answer.status, agent.uuid in answer.said) for answer in answers] == 3 * [(200, True)]


async def test_a1_polls_without_quotes_around_its_etag_and_is_told_304(agent: Agent, held: str) -> None:
    assert await is_known(agent, held.strip('"'))


async def test_a2_polls_with_its_etag_as_it_got_it_and_is_told_304(agent: Agent, held: str) -> None:
    assert await is_known(agent, held)


async def test_a3_polls_in_full_when_it_starts_and_then_by_its_etag(agent: Agent, held: str) -> None:
    assert (await agent.poll()).status == 200
    assert await is_known(agent, held)


async def test_any_proxy_may_make_the_etag_weak(agent: Agent, held: str) -> None:
    assert await is_known(agent, f"W/{held}")
    assert await is_known(agent, f"W/{held.strip(chr(34))}")


@pytest.mark.parametrize(
    "form", ['"other", {etag}', '{etag}, "other"', "other,{bare}", 'W/"other" , W/{etag}', '"a",{etag},"b"', "  {etag}  "]
)
async def test_any_list_that_holds_the_etag_is_told_304(agent: Agent, held: str, form: str) -> None:
    assert await is_known(agent, form.format(etag=held, bare=held.strip('"')))


async def test_any_star_is_told_304(agent: Agent, held: str) -> None:
    assert await is_known(agent, "*")


@pytest.mark.parametrize(
    "garbage",
    ['"other"', "", "**", '"', '""', ",", ", ,", "W/", 'W/"', "null", "undefined", "0", "ä", '"' * 50, "a," * 2000, "x" * 8000],
    ids=lambda garbage: garbage[:10] or "nothing",
)
async def test_any_garbage_is_answered_in_full(agent: Agent, held: str, garbage: str) -> None:
    assert not await is_known(agent, garbage)


async def test_any_etag_but_for_a_letter_is_answered_in_full(agent: Agent, held: str) -> None:
    bare = held.strip('"')
    for near in (bare[:-1], f'"{bare[:-1]}"', f"{bare}0", f'"{bare}0"', f"0{bare}", bare[1:]):
        assert not await is_known(agent, near), near


async def test_any_other_devices_etag_is_answered_in_full(operator: Api, agent: Agent, other: Agent, held: str) -> None:
    await operator.set_target(other.uuid, wanted(imageName="redis:7"))

    assert not await is_known(other, held)


async def test_any_304_has_no_body_and_has_the_etag(agent: Agent, held: str) -> None:
    answer = await agent.poll(held)

    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", held)
    assert "Content-Type" not in answer.headers


async def test_any_change_is_told_in_full_with_another_etag(operator: Api, agent: Agent, held: str) -> None:
    await operator.set_target(agent.uuid, wanted(imageName="nginx:1.28"))

    answer = await agent.poll(held)

    assert answer.status == 200
    assert answer.said[agent.uuid]["apps"]["1001"]["services"][0]["imageName"] == "nginx:1.28"
    assert answer.headers["ETag"] != held
    assert await is_known(agent, answer.headers["ETag"])


async def test_any_target_that_comes_back_has_another_etag(operator: Api, agent: Agent, held: str) -> None:
    await operator.set_target(agent.uuid, wanted(imageName="nginx:1.28"))
    await operator.set_target(agent.uuid, wanted(imageName="nginx:1.27"))

    assert not await is_known(agent, held)


@pytest.mark.parametrize("config", [{"logging": {"level": "debug"}}, {"features": ["a"]}], ids=["object", "array"])
async def test_a3_hears_of_a_change_of_its_config(operator: Api, agent: Agent, held: str, config: Any) -> None:
    await operator.change("setDeviceTarget", uuid=agent.uuid, apps=wanted(imageName="nginx:1.27"), config=config)

    answer = await agent.poll(held)

    assert answer.status == 200
    assert answer.said[agent.uuid]["config"].items() >= config.items()


async def test_any_report_leaves_the_etag_as_it_is(agent: Agent, held: str) -> None:
    await agent.say({"apps": apps(service("nginx:1.27"))})
    await agent.say({"apps": {}, "version": 1})

    assert await is_known(agent, held)


async def test_any_other_devices_target_leaves_the_etag_as_it_is(operator: Api, agent: Agent, other: Agent, held: str) -> None:
    await operator.set_target(other.uuid, wanted(imageName="redis:7"))

    assert await is_known(agent, held)


async def test_any_head_that_holds_the_etag_is_told_304(agent: Agent, held: str) -> None:
    answer = await agent.ask("HEAD", f"/api/v1/device/{agent.uuid}/state", headers={**agent.proof, "If-None-Match": held})

    assert (answer.status, answer.body) == (304, b"")


async def test_any_etag_does_not_let_a_stranger_in(agent: Agent, held: str) -> None:
    answer = await agent.ask("GET", f"/api/v1/device/{agent.uuid}/state", headers={"If-None-Match": held})

    assert answer.status == 401
