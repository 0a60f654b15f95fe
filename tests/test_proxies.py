"""Proxies in front of the server: those that are trusted say where requests come from, and whose certificate they saw."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from server.limits import WRONG
from server.process import running
from server.proxies import PEER, Proxies
from server.settings import BadSetting, Settings
from tests.api import Api, nth, web
from tests.clock import MovableClock
from tests.conftest import SECRET

HEADER = "X-Client-Subject"
LOCAL = {"ROLLWAVE_TRUSTED_PROXIES": "127.0.0.1, 10.8.0.0/24", "ROLLWAVE_CLIENT_CERTIFICATE_HEADER": HEADER}


def scope(peer: str, *headers: tuple[str, str]) -> dict[str, Any]:
    """What uvicorn hands over."""
    return {
        "type": "http",
        "client": (peer, 4711),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }


def trusting(**more: str) -> Proxies:
    return Settings.read({**LOCAL, **more}).proxies


@asynccontextmanager
async def behind(settings: Settings, database_url: str, proxies: Proxies) -> AsyncIterator[Api]:
    """A server that trusts these, and a client on this machine."""
    async with running(replace(settings, proxies=proxies), database_url, clock=MovableClock()) as server, Api.of(server, SECRET) as api:
        yield api


@pytest.mark.parametrize(
    ("subject", "uuid"),
    [
        (nth(1), nth(1)),
        (nth(1).upper(), nth(1)),
        (f" {nth(1)} ", nth(1)),
        (f"CN={nth(1)}", nth(1)),
        (f"CN={nth(1)},OU=presses,O=Acme,C=DE", nth(1)),
        (f"emailAddress=ops@acme.example,CN={nth(1)},O=Acme", nth(1)),
        (f"O=Acme\\, Inc.,CN={nth(1)}", nth(1)),
        (f"O=Acme+CN={nth(1)}", nth(1)),
        ("", None),
        ("press-12", None),
        ("CN=press-12", None),
        ("O=Acme", None),
        (f"O={nth(1)}", None),
        (f"CN={nth(1)},CN={nth(2)}", None),
        (f"O=x\\,CN={nth(1)}", None),
        (f"O=x\\,CN={nth(1)},CN=press-12", None),
        (f"/O=Acme/CN={nth(1)}", None),
        (f"CN={nth(1)},", None),
        (f"=CN={nth(1)}", None),
        ("CN=ä", None),
        ("=" * 1000, None),
    ],
)
def test_a_subject_names_one_uuid_or_none(subject: str, uuid: str | None) -> None:
    assert trusting().certified(scope("127.0.0.1", (HEADER, subject))) == uuid


def test_only_a_proxy_that_is_trusted_is_heard_and_only_in_its_own_words() -> None:
    said = (HEADER, nth(1))

    assert trusting().certified(scope("10.8.0.7", said)) == nth(1)
    for stranger in ("10.8.1.7", "192.0.2.1", "", "::1", "nonsense"):
        assert trusting().certified(scope(stranger, said)) is None
    assert trusting().certified(scope("10.8.0.7")) is None
    assert trusting().certified(scope("10.8.0.7", said, said)) is None, "one may be the client's own"
    assert trusting().certified({**scope("10.8.0.7", said), PEER: "192.0.2.1"}) is None
    assert trusting().certified({**scope("192.0.2.1", said), PEER: "10.8.0.7"}) == nth(1)
    assert trusting().certified({"type": "http", "client": None, "headers": []}) is None
    assert Proxies().certified(scope("127.0.0.1", said)) is None
    assert trusting(ROLLWAVE_CLIENT_CERTIFICATE_HEADER="").certified(scope("10.8.0.7", said)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"ROLLWAVE_TRUSTED_PROXIES": "proxy.acme.example"},
        {"ROLLWAVE_TRUSTED_PROXIES": "10.8.0.1/24"},
        {"ROLLWAVE_TRUSTED_PROXIES": "*"},
        {"ROLLWAVE_CLIENT_CERTIFICATE_HEADER": HEADER},
        {"ROLLWAVE_TRUSTED_PROXIES": "10.8.0.7", "ROLLWAVE_CLIENT_CERTIFICATE_HEADER": "X Subject"},
        {"ROLLWAVE_TRUSTED_PROXIES": "0.0.0.0/0", "ROLLWAVE_CLIENT_CERTIFICATE_HEADER": HEADER},
        {"ROLLWAVE_TRUSTED_PROXIES": "10.8.0.7, ::/0", "ROLLWAVE_CLIENT_CERTIFICATE_HEADER": HEADER},
    ],
)
def test_a_setting_that_would_trust_nobody_or_everybody_is_refused_by_name(wrong: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match=list(wrong)[-1]):
        Settings.read(wrong)


async def test_a_device_with_a_certificate_needs_no_key_and_speaks_for_itself_only(settings: Settings, database_url: str) -> None:
    async with behind(settings, database_url, trusting()) as api:
        agent, other = await api.devices("nginx:1.26", "nginx:1.27")
        subject = {HEADER: f"CN={agent.uuid},O=Acme", "X-Forwarded-For": "203.0.113.9"}

        async def answered(method: str, path: str, body: Any = None, **more: str) -> int:
            async with api.http.request(method, f"/api/v1/device/{path}", json=body, headers={**subject, **more}) as response:
                return response.status

        assert await answered("GET", f"{agent.uuid}/state") == 200
        assert await answered("PATCH", "state", {agent.uuid: {"apps": web("nginx:1.26")}}) == 200
        assert await answered("POST", f"{agent.uuid}/key-exchange", {"deviceApiKey": "n" * 64}) == 200
        assert await answered("GET", f"{other.uuid}/state") == 401
        assert await answered("PATCH", "state", {other.uuid: {"apps": {}}}) == 401
        assert await answered("POST", f"{other.uuid}/key-exchange") == 401
        assert await answered("GET", f"{other.uuid}/state", **{"X-Device-API-Key": other.key}) == 200
        assert await answered("GET", f"{nth(9)}/state", **{HEADER: nth(9)}) == 404
        await api.change("revokeDevice", uuid=agent.uuid)
        assert await answered("GET", f"{agent.uuid}/state") == 403


async def test_without_a_proxy_that_is_trusted_the_header_of_anybody_is_nothing(settings: Settings, database_url: str) -> None:
    for proxies in (Proxies(), trusting(ROLLWAVE_TRUSTED_PROXIES="10.8.0.0/24")):
        async with behind(settings, database_url, proxies) as api:
            agent = await api.device(nth(1))
            for forwarded in ({}, {"X-Forwarded-For": "10.8.0.7"}):
                headers = {HEADER: agent.uuid, **forwarded}
                async with api.http.get(f"/api/v1/device/{agent.uuid}/state", headers=headers) as response:
                    assert response.status == 401


async def test_guesses_are_counted_where_a_trusted_proxy_says_they_come_from(settings: Settings, database_url: str) -> None:
    async def guessed(api: Api, address: str, key: str) -> int:
        headers = {"X-Device-API-Key": key, "X-Forwarded-For": address}
        async with api.http.get(f"/api/v1/device/{nth(1)}/state", headers=headers) as response:
            return response.status

    async with behind(settings, database_url, trusting()) as api:
        agent = await api.device(nth(1))
        await asyncio.gather(*[guessed(api, "203.0.113.9", "wrong") for _ in range(WRONG)])
        assert await guessed(api, "203.0.113.9", agent.key) == 429
        assert await guessed(api, "203.0.113.10", agent.key) == 200
        assert await guessed(api, "203.0.113.9, 203.0.113.10", agent.key) == 200, "what the client itself wrote before counts for nothing"
    async with behind(settings, database_url, Proxies()) as api:
        for number in range(WRONG):
            await guessed(api, f"203.0.113.{number}", "wrong")
        assert await guessed(api, "203.0.113.99", agent.key) == 429, "nobody is trusted: they all come from this machine"
