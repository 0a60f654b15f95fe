"""Tokens that Google signed, and tokens it did not: keys of our own, served by a server of our own."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from domain.registries import Unanswered
from registries.oidc import Keys, is_authentic

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AUDIENCE = "https://rollwave.acme.example/webhooks/images"
ACCOUNT = "pusher@acme-prod.iam.gserviceaccount.com"
FIRST, SECOND, STRANGER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(3))


def public(key: rsa.RSAPrivateKey, kid: str, **more: object) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", "alg": "RS256", **more}


class Google:
    """Whoever serves the keys; remembers how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.url = ""
        self.status = 200
        self.said: Any = {"keys": [public(FIRST, "first")]}
        self.open = asyncio.Event()
        self.open.set()

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        await self.open.wait()
        body = self.said if isinstance(self.said, bytes) else json.dumps(self.said).encode()
        return web.Response(status=self.status, body=body, headers={"Location": self.url})


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    google, app = Google(), web.Application()
    app.router.add_get("/certs", google.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    google.url = f"http://127.0.0.1:{runner.addresses[0][1]}/certs"
    yield google
    google.open.set()
    await runner.cleanup()


@pytest.fixture
async def keys(google: Google) -> AsyncIterator[Keys]:
    async with aiohttp.ClientSession() as http:
        yield Keys(http, google.url)


def claims(**other: object) -> dict[str, Any]:
    said = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "azp": "117",
        "sub": "117",
        "email": ACCOUNT,
        "email_verified": True,
        "iat": int(NOW.timestamp()) - 10,
        "exp": int(NOW.timestamp()) + 3590,
        **other,
    }
    return {name: value for name, value in said.items() if value is not None}


def token(key: Any = FIRST, kid: str | None = "first", algorithm: str = "RS256", **other: Any) -> str:
    return jwt.encode(claims(**other), key, algorithm, headers=None if kid is None else {"kid": kid})


async def known(keys: Keys, token: str, now: datetime = NOW) -> bool:
    return await is_authentic(token, keys, audience=AUDIENCE, service_account=ACCOUNT, now=now)


@pytest.mark.parametrize(
    "right",
    [
        {},
        {"iss": "accounts.google.com"},
        {"aud": ["https://other.example", AUDIENCE]},
        {"iat": NOW.timestamp() + 29},
        {"exp": NOW.timestamp() - 29},
    ],
)
async def test_a_token_of_the_service_account_is_authentic(keys: Keys, right: dict[str, Any]) -> None:
    assert await known(keys, token(**right))


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://accounts.google.com.evil.example"},
        {"iss": None},
        {"aud": "https://other.example"},
        {"aud": [f"{AUDIENCE}/"]},
        {"aud": None},
        {"email": "somebody@acme-prod.iam.gserviceaccount.com"},
        {"email": ACCOUNT.upper()},
        {"email": None},
        {"email": [ACCOUNT]},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"exp": NOW.timestamp() - 31},
        {"exp": None},
        {"exp": float("nan")},
        {"exp": "2100"},
        {"iat": NOW.timestamp() + 31},
        {"iat": float("nan")},
        {"iat": None},
        {"iat": [1]},
    ],
)
async def test_a_token_that_says_anything_else_is_not(keys: Keys, wrong: dict[str, Any]) -> None:
    assert not await known(keys, token(**wrong))


async def test_a_token_is_for_an_audience_and_a_service_account(keys: Keys) -> None:
    for audience, account in [("", ACCOUNT), (AUDIENCE, ""), ("other", ACCOUNT), (AUDIENCE, "other")]:
        assert not await is_authentic(token(), keys, audience=audience, service_account=account, now=NOW)
    assert not await is_authentic(token(email=""), keys, audience=AUDIENCE, service_account="", now=NOW)


async def test_a_token_that_somebody_else_signed_is_not_authentic(keys: Keys) -> None:
    whole = token()
    head, body, signature = whole.split(".")
    forged = base64.urlsafe_b64encode(json.dumps(claims(sub="1")).encode()).decode().rstrip("=")

    for wrong in [
        token(STRANGER),
        token(kid=None),
        token(kid="second"),
        token(ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        token("s" * 64, algorithm="HS512"),
        token(FIRST, algorithm="RS512"),
        token("", algorithm="none"),
        f"{head}.{forged}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        whole[:-2],
        f"{whole}.",
        f"Bearer {whole}",
    ]:
        assert not await known(keys, wrong)


async def test_a_key_in_the_token_itself_is_not_trusted(keys: Keys) -> None:
    headers = {"kid": "first", "jwk": public(STRANGER, "first"), "jku": "https://evil.example/certs"}

    assert not await known(keys, jwt.encode(claims(), STRANGER, "RS256", headers=headers))


@pytest.mark.parametrize(
    "header", [b"[" * 40_000, b'{"alg":' + b"[" * 40_000, b"null", b'{"alg":"RS256","kid":7}', b"\xff", b'{"alg":"RS256"}']
)
async def test_what_is_no_token_is_not_authentic_and_asks_nobody(google: Google, keys: Keys, header: bytes) -> None:
    assert not await known(keys, base64.urlsafe_b64encode(header).decode().rstrip("=") + ".e30.AA")
    assert google.asked == 0


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.text(alphabet="eyJ.{}\ud800=", max_size=40))
async def test_any_text_is_judged(keys: Keys, text: str) -> None:
    assert not await known(keys, text)


async def test_keys_are_kept_for_an_hour(google: Google, keys: Keys) -> None:
    for minutes in (0, 1, 59):
        assert await known(keys, token(exp=NOW.timestamp() + 9000), NOW + timedelta(minutes=minutes))
    assert google.asked == 1

    google.said = {"keys": [public(SECOND, "second")]}
    assert not await known(keys, token(exp=NOW.timestamp() + 9000), NOW + timedelta(minutes=60))
    assert google.asked == 2


async def test_a_new_key_is_found_and_an_invented_one_asks_once_a_minute(google: Google, keys: Keys) -> None:
    assert await known(keys, token())
    google.said = {"keys": [public(FIRST, "first"), public(SECOND, "second")]}

    assert not await known(keys, token(SECOND, "second"), NOW + timedelta(seconds=59))
    assert await known(keys, token(SECOND, "second"), NOW + timedelta(seconds=60))
    for number in range(50):
        assert not await known(keys, token(STRANGER, f"invented-{number}"), NOW + timedelta(seconds=61 + number))
    assert google.asked == 2


async def test_all_who_wait_for_the_keys_ask_once(google: Google, keys: Keys) -> None:
    google.open.clear()
    waiting = [asyncio.create_task(known(keys, token())) for _ in range(50)]
    while not google.asked:
        await asyncio.sleep(0.01)
    waiting.pop(0).cancel()  # the one who asked first gives up
    google.open.set()

    assert await asyncio.gather(*waiting) == [True] * 49
    assert google.asked == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (503, {"keys": []}),
        (302, {"keys": []}),
        (200, {"keys": []}),
        (200, {"keys": {}}),
        (200, []),
        (200, b"<html>"),
        (200, b"\xff"),
        (200, b"[" * 100_000),
        (200, b" " * 300_000),
        (
            200,
            {
                "keys": [
                    7,
                    {"kty": "RSA", "kid": "first"},
                    {"kty": "RSA", "kid": "first", "n": 7, "e": "AQAB"},
                    {"kty": "oct", "kid": "first", "k": "AA"},
                ]
            },
        ),
        (200, {"keys": [public(FIRST, "first", use="enc"), public(FIRST, "first", alg="RS512"), {**public(FIRST, "first"), "kid": 7}]}),
    ],
)
async def test_without_keys_nobody_can_tell_and_the_next_one_asks_again(google: Google, keys: Keys, status: int, said: object) -> None:
    google.status, google.said = status, said
    with pytest.raises(Unanswered, match="the keys of tokens cannot be had"):
        await known(keys, token())

    google.status, google.said = 200, {"keys": [public(FIRST, "first")]}
    assert await known(keys, token())


async def test_nobody_there_is_no_answer() -> None:
    async with aiohttp.ClientSession() as http:
        for url in ("http://127.0.0.1:1/certs", "not a url", "ftp://127.0.0.1/certs"):
            with pytest.raises(Unanswered, match="cannot be had from"):
                await known(Keys(http, url), token())


async def test_one_failure_is_told_to_all_who_wait(google: Google, keys: Keys) -> None:
    google.open.clear()
    google.status = 500
    waiting = [asyncio.create_task(known(keys, token())) for _ in range(5)]
    while not google.asked:
        await asyncio.sleep(0.01)
    google.open.set()

    assert [type(told) for told in await asyncio.gather(*waiting, return_exceptions=True)] == [Unanswered] * 5
    assert google.asked == 1
