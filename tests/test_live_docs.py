"""The examples of docs/live.md are answered, and reading, then following leaves no gap."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.api import Api, eventually, nth, web

PAGE = (Path(__file__).parent.parent / "docs" / "live.md").read_text()
DOCUMENTS = {name: text for text, name in re.findall(r"^```graphql\n((?:query|subscription) (\w+).*?)^```", PAGE, re.MULTILINE | re.DOTALL)}


async def first(api: Api, document: str, **variables: Any) -> Any:
    async with api.subscribed(document, **variables) as answers:
        async for answer in answers:
            return answer
    pytest.fail("nothing was told")


async def begun(api: Api) -> None:
    await api.device(nth(1), web("nginx:1.26"), fleet="berlin")
    await api.policy(fleet="berlin", updateStrategy="MANUAL")
    await api.push("nginx:1.27")
    await eventually(api.status, "PENDING")


async def test_what_happens_while_a_page_is_read_is_told_after_it(api: Api) -> None:
    await begun(api)
    board = await api.graphql(DOCUMENTS["Board"])
    [rollout] = board["rollouts"]["nodes"]
    await api.change("cancelRollout", id=rollout["id"])

    told = (await first(api, DOCUMENTS["Changes"], after=board["eventCursor"]))["events"]

    assert (told["name"], told["revision"]) == ("image.rollout_cancelled", rollout["revision"] + 1)
    assert told["rollout"] == {"id": rollout["id"], "status": "CANCELLED"}


async def test_what_is_so_is_told_at_once(api: Api) -> None:
    await begun(api)

    device = (await first(api, DOCUMENTS["OneDevice"], uuid=nth(1)))["device"]["device"]
    counts = (await first(api, DOCUMENTS["HowMany"]))["deviceCounts"]["counts"]

    assert (device["online"], device["targetState"]["version"]) == (False, 1)
    assert counts == {"devices": 1, "online": 0}


def test_every_document_of_the_page_is_run() -> None:
    assert set(DOCUMENTS) == {"Board", "Changes", "OneDevice", "HowMany"}
