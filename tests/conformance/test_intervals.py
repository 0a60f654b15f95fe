"""The poll's `config.intervals`: how often A3 is to poll and to report, in whole milliseconds. Older agents keep to their own."""

from typing import Any

import pytest

from tests.api import Api
from tests.conformance.agents import Agent
from tests.conformance.test_polls import wanted

INTERVALS = ("targetStatePollIntervalMs", "reportIntervalMs")


@pytest.mark.parametrize("interval", INTERVALS)
async def test_a3_is_told_its_intervals_in_whole_milliseconds(agent: Agent, interval: str) -> None:
    told = (await agent.told())["config"]["intervals"][interval]

    assert type(told) is int
    assert 1000 <= told <= 86_400_000


async def test_a3_is_told_its_intervals_beside_what_an_operator_configured(operator: Api, agent: Agent) -> None:
    config = {"logging": {"level": "debug"}}
    await configure(operator, agent, config)

    told = (await agent.told())["config"]

    assert told["logging"] == config["logging"]
    assert set(told["intervals"]) >= set(INTERVALS)


async def test_a3_keeps_its_etag_while_its_intervals_stay(agent: Agent) -> None:
    held = (await agent.poll()).headers["ETag"]

    assert [(await agent.poll(held)).status for _ in range(3)] == [304, 304, 304]


async def test_a3_is_told_the_intervals_that_an_operator_gave_it_and_no_others(operator: Api, agent: Agent) -> None:
    intervals = {"targetStatePollIntervalMs": 30_000}
    await configure(operator, agent, {"intervals": intervals})

    assert (await agent.told())["config"]["intervals"] == intervals


async def test_a3_devices_keep_to_intervals_of_their_own_lest_they_poll_together(agent: Agent, other: Agent) -> None:
    one, another = [(await device.told())["config"]["intervals"]["targetStatePollIntervalMs"] for device in (agent, other)]

    assert one != another
    assert 0.8 < one / another < 1.25


async def configure(operator: Api, agent: Agent, config: dict[str, Any]) -> None:
    await operator.change("setDeviceTarget", uuid=agent.uuid, apps=wanted(imageName="nginx:1.27"), config=config)
