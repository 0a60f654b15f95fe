"""What each path can be asked, and that every refusal is a sentence in JSON."""

import pytest

from tests.conformance.agents import Agent

PATHS = {
    "/api/v1/device/register": {"POST"},
    "/api/v1/device/{uuid}/key-exchange": {"POST"},
    "/api/v1/device/{uuid}/state": {"GET", "HEAD"},
    "/api/v1/device/state": {"PATCH"},
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
WRONG = [(path, method) for path, right in PATHS.items() for method in METHODS if method not in right]


@pytest.mark.parametrize(("path", "method"), WRONG, ids=lambda value: value)
async def test_any_other_method_is_refused_and_the_right_ones_are_named(agent: Agent, path: str, method: str) -> None:
    answer = await agent.ask(method, path.format(uuid=agent.uuid), headers=agent.proof)

    assert (answer.status, bool(answer.error)) == (405, True)
    assert {allowed.strip() for allowed in answer.headers["Allow"].split(",")} == PATHS[path]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/device/", "/api/v1/device", "/api/v1/device/{uuid}", "/api/v1/device/{uuid}/", "/api/v1/device/{uuid}/state/",
        "/api/v1/device/{uuid}/state/x", "/api/v1/device//state", "/api/v1/device/{uuid}%2Fstate%2F", "/api/v2/device/{uuid}/state",
        "/api/v1/Device/{uuid}/state", "/api/v1/device/{uuid}/State",
    ],
)  # fmt: skip
async def test_any_other_path_is_not_found(agent: Agent, path: str) -> None:
    answer = await agent.ask("GET", path.format(uuid=agent.uuid), headers=agent.proof)

    assert (answer.status, bool(answer.error)) == (404, True)


async def test_any_device_may_ask_whether_the_server_is_well(agent: Agent) -> None:
    answer = await agent.ask("GET", "/healthz")

    assert (answer.status, answer.said) == (200, {"status": "ok"})
