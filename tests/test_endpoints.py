"""The addresses that operators make for senders: who is let in, by which secret, and for what they may speak."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import jwt
import pytest
from limits import RateLimitItemPerSecond

from domain.endpoints import Scheme, Sender
from registries import webhooks
from schema.nodes import node_id
from server.bodies import MOST_INFLATED, MOST_SENT
from server.process import Running, running
from server.settings import Settings
from tests.api import Api, eventually, everything, flat
from tests.clock import MovableClock
from tests.conftest import SECRET
from tests.factories import at
from tests.senders import CREATED, HOST, POSTS, Made, accepted, mac, made, sent, told
from tests.test_oidc import ACCOUNT, AUDIENCE, FIRST, SECOND, Google, claims, google

__all__ = ["google"]

NGINX = {"image": "nginx", "tag": "1.27"}
PROVES_BY_SECRET = [(sender, scheme) for sender in Sender for scheme in webhooks.schemes(sender) if scheme is not Scheme.OIDC]


async def rollouts(api: Api) -> list[str]:
    """The images of all rollouts, oldest first."""
    answer = flat(await api.graphql("{ rollouts { nodes { status image { reference } } } }"))
    return [node["image"] for node in reversed(answer["rollouts"]["nodes"])]


async def decisions(api: Api, delivery: str) -> list[str]:
    return [decision["sentence"] for decision in await api.decided(delivery)]


# Made, and let in


@pytest.mark.parametrize("sender", Sender)
async def test_every_sender_is_heard_by_every_proof_it_can_give_and_its_push_reaches_the_device(api: Api, sender: Sender) -> None:
    post = POSTS[sender]
    [agent] = await api.devices(post.older)
    await api.policy(imagePattern="**/edge-agent")
    endpoints = [await made(api, sender, scheme, defaultHost=HOST) for proves, scheme in PROVES_BY_SECRET if proves is sender]

    answers = [
        await sent(api, endpoint.path + path, post.body, {**post.headers, **proof})
        for endpoint in endpoints
        for path, proof in endpoint.proven(post.body)
    ]

    assert {status for status, _ in answers} == {202}, answers
    assert {answer["images"][0] for _, answer in answers} == {post.image}
    for _, answer in answers:
        await api.decided(answer["delivery_id"])
    await eventually(lambda: api.image(agent.uuid), post.image)
    assert await rollouts(api) == [post.image]


@pytest.mark.parametrize(("sender", "scheme"), PROVES_BY_SECRET)
async def test_who_does_not_prove_it_changes_nothing(server: Running, api: Api, sender: Sender, scheme: Scheme) -> None:
    post, endpoint, other = POSTS[sender], *[await made(api, sender, scheme, defaultHost=HOST) for _ in range(2)]
    await api.devices(post.older)
    await api.policy(imagePattern="**/edge-agent")
    before = await everything(server.db)

    for path, proof in attempts(endpoint, other, post.body):
        status, answer = await sent(api, endpoint.path + path, post.body, {**post.headers, **proof})
        assert (status, "error" in answer) == (404 if path == "/" else 401, True), (path, proof, answer)
        assert endpoint.secret not in str(answer)

    assert await everything(server.db) == before


def attempts(endpoint: Made, other: Made, body: bytes) -> list[tuple[str, dict[str, str]]]:
    """Proofs that are none, or none for this endpoint."""
    wrong = ["", endpoint.secret[:-1], endpoint.secret + "x", endpoint.secret.upper(), other.secret, SECRET, "ä"]
    forged = [proof for secret in wrong for proof in endpoint.proven(body, secret)]
    return [("", {}), *forged, *changed(endpoint, body), *elsewhere(endpoint, body)]


def changed(endpoint: Made, body: bytes) -> list[tuple[str, dict[str, str]]]:
    """Signatures of other bytes than those that are sent."""
    return (
        [proof for other in (b"", body + b" ", body[:-1]) for proof in endpoint.proven(other)]
        if endpoint.scheme is Scheme.SIGNATURE
        else []
    )


def elsewhere(endpoint: Made, body: bytes) -> list[tuple[str, dict[str, str]]]:
    """The right secret, where this endpoint does not look for it."""
    path: tuple[str, dict[str, str]] = (f"/{endpoint.secret}", {})
    header = ("", {"Authorization": f"Bearer {endpoint.secret}"})
    signature = ("", {"X-Hub-Signature-256": f"sha256={mac(endpoint.secret, body)}"})
    return {Scheme.PATH: [header, signature], Scheme.HEADER: [path, signature], Scheme.SIGNATURE: [path, header]}[endpoint.scheme]


async def test_an_address_is_for_one_sender_and_for_an_endpoint_that_there_is(server: Running, api: Api) -> None:
    endpoint, deleted = await made(api, Sender.GENERIC), await made(api, Sender.GENERIC)
    await api.change("deleteWebhookEndpoint", id=deleted.id)
    before = await everything(server.db)
    body = json.dumps(NGINX).encode()

    for address in [
        deleted.path,
        f"/api/v1/webhooks/github/{endpoint.number}",
        f"/api/v1/webhooks/nobody/{endpoint.number}",
        f"/api/v1/webhooks/GENERIC/{endpoint.number}",
        *(f"/api/v1/webhooks/generic/{number}" for number in ("0", "99", "-1", "1e1", "٣", "9" * 19, "x")),
    ]:
        status, answer = await sent(api, address, body, endpoint.proven(body)[0][1])
        assert (status, "error" in answer) == (404, True), address
    async with api.http.get(endpoint.path) as response:
        assert response.status == 405

    assert await everything(server.db) == before
    assert (await api.graphql("{ webhookEndpoints { nodes { id } } }"))["webhookEndpoints"]["nodes"] == [{"id": endpoint.id}]


async def test_only_who_knows_the_secret_learns_that_an_endpoint_is_disabled(server: Running, api: Api) -> None:
    endpoint = await made(api, Sender.GENERIC)
    await api.change("disableWebhookEndpoint", id=endpoint.id)
    before = await everything(server.db)

    assert await told(api, endpoint, NGINX) == (403, {"error": f"endpoint {endpoint.number} is disabled"})
    assert (await sent(api, endpoint.path, b"{}", {}))[0] == 401
    assert await everything(server.db) == before

    await api.change("enableWebhookEndpoint", id=endpoint.id)
    await accepted(api, endpoint, NGINX)


async def test_a_body_that_makes_no_sense_is_refused_in_words_and_changes_nothing(server: Running, api: Api) -> None:
    endpoint = await made(api, Sender.GENERIC)
    before = await everything(server.db)

    for body, wanted, words in [
        (b"", 400, "not JSON"),
        (b"[]", 400, "not an object"),
        (b"{}", 400, "this endpoint is for generic"),
        (b"\xff", 400, "not JSON"),
        (b'{"image": 7}', 400, "image"),
        (b'{"image": "nginx", "tag": "1 27"}', 400, "tag"),
        (POSTS[Sender.GITHUB].body, 400, "it looks like github's, which needs an endpoint of its own"),
        (b" " * (MOST_SENT + 1), 413, ""),
    ]:
        status, answer = await told(api, endpoint, body)
        assert (status, words in str(answer)) == (wanted, True), (body[:80], answer)

    assert await everything(server.db) == before


async def test_a_bomb_is_refused_before_it_goes_off(server: Running, api: Api) -> None:
    endpoint = await made(api, Sender.GENERIC)
    before = await everything(server.db)
    squeezed = gzip.compress(b" " * (MOST_INFLATED + 1))
    bomb = gzip.compress(gzip.compress(b" " * 100_000_000))

    for body, encoding, wanted in [
        (squeezed, "gzip", 413),
        (bomb, "gzip", 400),
        (gzip.decompress(bomb), "gzip", 413),
        (gzip.compress(b"{}")[:-9], "gzip", 400),
        (b"{}", "gzip", 400),
        (zlib.compress(b"{}"), "deflate", 415),
    ]:
        status, answer = await told(api, endpoint, body, **{"Content-Encoding": encoding})
        assert status == wanted, (len(body), encoding, answer)

    assert await everything(server.db) == before
    await accepted(api, endpoint, gzip.compress(json.dumps(NGINX).encode()), **{"Content-Encoding": "gzip"})


@pytest.mark.parametrize("delivery", ["same", "another"])
async def test_a_webhook_that_is_sent_again_starts_nothing_again(api: Api, delivery: str) -> None:
    await api.devices("nginx:1.26")
    await api.policy()
    endpoint = await made(api, Sender.GENERIC)

    first = await accepted(api, endpoint, NGINX, **{"Idempotency-Key": "same"})
    await api.decided(first)
    second = await accepted(api, endpoint, NGINX, **{"Idempotency-Key": delivery})
    await api.decided(second)

    assert (first == second) == (delivery == "same")
    assert await rollouts(api) == ["nginx:1.27"]


async def test_a_name_of_a_delivery_that_is_given_to_another_hides_nothing(api: Api) -> None:
    await api.devices("nginx:1.26", "nginx-exporter:0.9")
    await api.policy()
    endpoint = await made(api, Sender.GENERIC)

    first = await accepted(api, endpoint, NGINX, **{"Idempotency-Key": "build"})
    await api.decided(first)
    second = await accepted(api, endpoint, {"image": "nginx-exporter:1.0"}, **{"Idempotency-Key": "build"})
    await api.decided(second)

    assert await rollouts(api) == ["nginx:1.27", "nginx-exporter:1.0"]


# What operators may ask for


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"name": ""}, "name: 1 to 255 characters"),
        ({"name": "a\nb"}, "name: 1 to 255 characters"),
        ({"name": "n" * 256}, "name: 1 to 255 characters"),
        ({"scheme": "OIDC"}, "scheme: generic can prove itself by signature, header, path, not by oidc"),
        ({"sender": "QUAY", "scheme": "HEADER"}, "scheme: quay can prove itself by path, not by header"),
        ({"defaultHost": "no host"}, "no host"),
        ({"defaultHost": "registry.example:99999"}, "a port from 1 to 65535"),
        ({"sender": "NEXUS"}, "defaultHost: nexus never says which registry it is"),
        ({"sender": "ALIYUN"}, "defaultHost: aliyun never says which registry it is"),
        ({"defaultHost": "a.example/b/c"}, "a.example/b/c"),
        ({"repositories": ["**/*["]}, ""),
        ({"repositories": ["a"] * 101}, "repositories: at most 100"),
        ({"audience": AUDIENCE}, "audience, serviceAccount"),
        ({"serviceAccount": ACCOUNT}, "audience, serviceAccount"),
        ({"sender": "GOOGLE", "audience": AUDIENCE}, "audience, serviceAccount"),
        ({"sender": "GOOGLE", "audience": "", "serviceAccount": ACCOUNT}, "audience: 1 to 255"),
        ({"sender": "GOOGLE", "audience": AUDIENCE, "serviceAccount": "\u202e"}, "serviceAccount: 1 to 255"),
        ({"sender": "GOOGLE", "scheme": "PATH", "audience": AUDIENCE, "serviceAccount": ACCOUNT}, "audience, serviceAccount"),
    ],
)
async def test_an_endpoint_that_makes_no_sense_is_not_made(server: Running, api: Api, wanted: dict[str, Any], why: str) -> None:
    before = await everything(server.db)

    code, sentence = await api.refusal("createWebhookEndpoint", **{"name": "images", "sender": "GENERIC", **wanted})

    assert (code, why in sentence) == ("INVALID_INPUT", True), sentence
    assert await everything(server.db) == before


async def test_what_was_made_can_be_read_but_for_its_secret(api: Api) -> None:
    wanted = {"name": " our Nexus ", "sender": "NEXUS", "defaultHost": HOST, "repositories": ["**/edge-agent"]}
    created = (await api.change("createWebhookEndpoint", CREATED, **wanted))["webhookEndpoint"]
    fields = "id number name sender scheme path defaultHost repositories audience serviceAccount enabled"
    shown = (await api.graphql(f"{{ webhookEndpoint(number: 1) {{ {fields} }} }}"))["webhookEndpoint"]

    assert shown == created == {
        "id": node_id("WebhookEndpoint", 1), "number": 1, "name": "our Nexus", "sender": "NEXUS", "scheme": "SIGNATURE",
        "path": "/api/v1/webhooks/nexus/1", "defaultHost": HOST, "repositories": ["**/edge-agent"],
        "audience": None, "serviceAccount": None, "enabled": True,
    }  # fmt: skip
    code, _ = await api.refused("{ webhookEndpoint(number: 1) { secret } }")
    assert code == "BAD_USER_INPUT"


@pytest.mark.parametrize("move", ["rotateWebhookSecret", "enableWebhookEndpoint", "disableWebhookEndpoint", "deleteWebhookEndpoint"])
async def test_an_endpoint_that_is_not_there_cannot_be_changed(api: Api, move: str) -> None:
    assert await api.refusal(move, id=node_id("WebhookEndpoint", 7)) == ("NOT_FOUND", "there is no endpoint 7")


async def test_without_a_token_nobody_makes_reads_or_changes_endpoints(server: Running, api: Api) -> None:
    endpoint = await made(api, Sender.GENERIC)
    before = await everything(server.db)

    for document in [
        'mutation { createWebhookEndpoint(input: {name: "x", sender: GENERIC}) { __typename } }',
        f'mutation {{ rotateWebhookSecret(input: {{id: "{endpoint.id}"}}) {{ __typename }} }}',
        f'mutation {{ deleteWebhookEndpoint(input: {{id: "{endpoint.id}"}}) {{ __typename }} }}',
        f'mutation {{ replayDelivery(input: {{id: "{node_id("Delivery", 1)}"}}) {{ __typename }} }}',
        "{ webhookEndpoints { nodes { id } } }",
        "{ deliveries { nodes { body } } }",
    ]:
        code, _ = await api.stranger().refused(document)
        assert code == "UNAUTHENTICATED", document

    assert await everything(server.db) == before
    await accepted(api, endpoint, NGINX)


# Google


@pytest.fixture
async def googled(database_url: str, settings: Settings, clock: MovableClock, google: Google) -> AsyncIterator[tuple[Api, Running]]:
    """A server that asks a server of ours for Google's keys."""
    async with running(settings, database_url, clock=clock, google_keys=google.url) as server, Api.of(server, SECRET) as api:
        yield api, server


def token(now: datetime, key: Any = FIRST, **other: object) -> dict[str, str]:
    times = {"iat": int(now.timestamp()) - 10, "exp": int(now.timestamp()) + 3590}
    return {"Authorization": "Bearer " + jwt.encode(claims(**{**times, **other}), key, "RS256", {"kid": "first"})}


async def of_google(api: Api) -> str:
    """The path of an endpoint to which Google posts."""
    wanted = {"name": "gar", "sender": "GOOGLE", "audience": AUDIENCE, "serviceAccount": ACCOUNT}
    created = await api.change("createWebhookEndpoint", CREATED, **wanted)
    assert (created["secret"], created["webhookEndpoint"]["scheme"]) == (None, "OIDC")
    return str(created["webhookEndpoint"]["path"])


async def test_what_google_signed_for_the_service_account_is_heard_and_nothing_else(googled: tuple[Api, Running]) -> None:
    api, server = googled
    post, path, now = POSTS[Sender.GOOGLE], await of_google(api), await at(server.db)
    before = await everything(server.db)

    for headers in [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x.y.z"},
        token(now, SECOND),
        token(now, aud="https://other.example"),
        token(now, email="other@acme-prod.iam.gserviceaccount.com"),
        token(now, exp=int(now.timestamp()) - 60),
        {"X-Token": token(now)["Authorization"]},
        {"Authorization": token(now)["Authorization"].replace("Bearer", "Basic")},
    ]:
        assert (await sent(api, path, post.body, headers))[0] == 401, headers
    assert (await sent(api, f"{path}/None", post.body, {}))[0] == 401
    assert await everything(server.db) == before

    assert (await sent(api, path, post.body, token(now)))[0] == 202


async def test_while_googles_keys_cannot_be_had_the_sender_is_told_to_try_again(googled: tuple[Api, Running], google: Google) -> None:
    api, server = googled
    path, now = await of_google(api), await at(server.db)
    google.status = 500

    async with api.http.post(path, data=POSTS[Sender.GOOGLE].body, headers=token(now)) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "30")
        assert "the keys of tokens cannot be had" in (await response.json())["error"]

    google.status = 200
    assert (await sent(api, path, POSTS[Sender.GOOGLE].body, token(now)))[0] == 202


async def test_where_google_signs_there_is_no_secret_to_rotate(api: Api) -> None:
    await of_google(api)

    refusal = await api.refusal("rotateWebhookSecret", id=node_id("WebhookEndpoint", 1))

    assert refusal == ("INVALID_INPUT", "endpoint 1 has no secret: its webhooks carry tokens that Google signs")


# Rotation


async def rotated(api: Api, endpoint: Made, keep: float) -> str:
    """The new secret; the old one counts for so many minutes."""
    return str((await api.change("rotateWebhookSecret", "secret", id=endpoint.id, keepOldMinutes=keep))["secret"])


async def heard_with(api: Api, endpoint: Made, secret: str) -> int:
    body = json.dumps(NGINX).encode()
    path, proof = endpoint.proven(body, secret)[0]
    return (await sent(api, endpoint.path + path, body, proof))[0]


@pytest.mark.parametrize(("sender", "scheme"), [(Sender.GENERIC, scheme) for scheme in (Scheme.SIGNATURE, Scheme.HEADER, Scheme.PATH)])
async def test_after_a_rotation_the_old_secret_counts_for_as_long_as_was_said(
    api: Api, clock: MovableClock, sender: Sender, scheme: Scheme
) -> None:
    endpoint = await made(api, sender, scheme)

    new = await rotated(api, endpoint, keep=60)

    assert new != endpoint.secret
    assert [await heard_with(api, endpoint, secret) for secret in (new, endpoint.secret)] == [202, 202]
    clock.advance(minutes=59)
    assert await heard_with(api, endpoint, endpoint.secret) == 202
    clock.advance(minutes=1, seconds=1)
    assert [await heard_with(api, endpoint, secret) for secret in (new, endpoint.secret)] == [202, 401]


async def test_a_secret_that_is_out_is_void_at_once(api: Api) -> None:
    endpoint = await made(api, Sender.GENERIC)
    second = await rotated(api, endpoint, keep=60)

    third = await rotated(api, endpoint, keep=0)

    assert [await heard_with(api, endpoint, secret) for secret in (endpoint.secret, second, third)] == [401, 401, 202]


@pytest.mark.parametrize("keep", [-1, 10_080.5, 1e300])
async def test_an_old_secret_is_kept_for_a_week_at_the_most(server: Running, api: Api, keep: float) -> None:
    endpoint = await made(api, Sender.GENERIC)
    before = await everything(server.db)

    refusal = await api.refusal("rotateWebhookSecret", id=endpoint.id, keepOldMinutes=keep)

    assert refusal == ("INVALID_INPUT", "keepOldMinutes: 0 to 10080, a week")
    assert await everything(server.db) == before


# What an endpoint may speak for


async def test_an_endpoint_speaks_only_for_its_repositories_however_often_it_is_asked(api: Api) -> None:
    await api.devices("nginx:1.26", "ghcr.io/acme/app:1.0")
    await api.policy(imagePattern="**")
    endpoint = await made(api, Sender.GENERIC, repositories=["ghcr.io/acme/**"])
    foreign, own = await accepted(api, endpoint, NGINX), await accepted(api, endpoint, {"image": "ghcr.io/acme/app:1.1"})
    refusal = [f"endpoint {endpoint.number} may not speak for nginx"]

    assert await decisions(api, foreign) == refusal
    assert [said.partition(",")[0] for said in await decisions(api, own)] == ["started rollout 1"]
    assert await accepted(api, endpoint, NGINX) == foreign
    assert await decisions(api, foreign) == refusal
    await api.change("replayDelivery", id=node_id("Delivery", foreign))
    assert await decisions(api, foreign) == refusal
    assert await rollouts(api) == ["ghcr.io/acme/app:1.1"]
    [push] = (await api.delivery(foreign))["pushes"]
    assert (push["image"], push["dueAt"]) == ("nginx:1.27", None)

    shared = (await api.webhook(NGINX))[1]["delivery_id"]
    await api.decided(shared)
    assert await rollouts(api) == ["ghcr.io/acme/app:1.1", "nginx:1.27"]


async def test_of_several_images_those_it_may_speak_for_go_ahead(api: Api) -> None:
    await api.devices("quay.io/acme/edge-agent:1.3.0")
    await api.policy(imagePattern="**/edge-agent")
    endpoint = await made(api, Sender.QUAY, repositories=["quay.io/acme/edge-agent:1.*"])

    delivery = await accepted(api, endpoint, POSTS[Sender.QUAY].body)
    await api.decided(delivery)

    said = {push["image"]: push["decisions"][0]["sentence"] for push in (await api.delivery(delivery))["pushes"]}
    assert said["quay.io/acme/edge-agent:latest"] == f"endpoint {endpoint.number} may not speak for quay.io/acme/edge-agent"
    assert said["quay.io/acme/edge-agent:1.4.2"].startswith("started rollout 1")


# How often


async def test_beyond_the_limit_an_endpoint_is_told_to_wait_and_others_are_not(
    server: Running, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.limits.WEBHOOKS", RateLimitItemPerSecond(3, 60))
    busy, other = await made(api, Sender.GENERIC), await made(api, Sender.GENERIC)
    for _ in range(5):
        assert (await sent(api, busy.path, b"{}", {}))[0] == 401, "whoever cannot prove it is not counted"

    assert [(await told(api, busy, {**NGINX, "build": number}))[0] for number in range(3)] == [202] * 3
    before = await everything(server.db)
    body = json.dumps(NGINX).encode()
    async with api.http.post(busy.path, data=body, headers=busy.proven(body)[0][1]) as response:
        assert response.status == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 120
        assert (await response.json())["error"].startswith("too many webhooks at once")
    assert (await everything(server.db))["deliveries"] == before["deliveries"]

    await accepted(api, other, NGINX)
    assert (await api.webhook(NGINX))[0] == 202
