"""The third generation of agents: they register under another path, bring a public key, and sign a challenge."""

from base64 import b64encode, urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.process import Running
from tests.api import Api, everything, nth
from tests.signing import pem

KEY = "a" * 64
SIGNS = Ed25519PrivateKey.generate()
RAW = SIGNS.public_key().public_bytes_raw()
DER = SIGNS.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
BODY = {"uuid": nth(1), "deviceName": "press-12", "deviceType": "pi5", "deviceApiKey": KEY, "agentVersion": "3.0.1"}


async def registered(api: Api, provisioning_key: str, **more: Any) -> tuple[int, Any]:
    """What POST /agent/register answers."""
    headers = {"x-provisioning-key": provisioning_key, "X-Idempotency-Key": f"register-{nth(1)}"}
    async with api.http.post("/api/v1/agent/register", json={**BODY, **more}, headers=headers) as response:
        return response.status, await response.json()


async def exchanged(api: Api, signature: str | None, *, key: str = KEY, word: str = "agent", **more: Any) -> tuple[int, Any]:
    """What the key exchange answers to this signature."""
    body = {"uuid": nth(1), "signature": signature, **more}
    async with api.http.post(f"/api/v1/{word}/{nth(1)}/key-exchange", json=body, headers={"x-agent-key": key}) as response:
        return response.status, await response.json()


async def challenge(api: Api, **more: Any) -> str:
    """What a device that has just registered is to sign."""
    _, answer = await registered(api, await api.provisioning_key(), devicePublicKey=pem(SIGNS), **more)
    return str(answer["challenge"])


@pytest.mark.parametrize(
    "written",
    [
        pem(SIGNS),
        RAW.hex(),
        RAW.hex().upper(),
        b64encode(RAW).decode(),
        urlsafe_b64encode(RAW).decode().rstrip("="),
        b64encode(DER).decode(),
    ],
    ids=["pem", "hex", "HEX", "base64", "base64url", "der"],
)
async def test_a_device_registers_and_proves_that_it_has_its_private_key(api: Api, written: str) -> None:
    status, answer = await registered(api, await api.provisioning_key("plant-a"), devicePublicKey=written, macAddress="02:42:00:00:00:01")

    assert (status, answer["uuid"], answer["fleetId"]) == (200, nth(1), "plant-a")
    assert [answer[name] for name in ("tenantId", "mqtt", "api", "vpn")] == [None] * 4
    for word in ("agent", "device"):
        for signature in (SIGNS.sign(answer["challenge"].encode()), SIGNS.sign(bytes.fromhex(answer["challenge"]))):
            for text in (signature.hex(), b64encode(signature).decode()):
                assert (await exchanged(api, text, word=word))[0] == 200
    async with api.http.get(f"/api/v1/device/{nth(1)}/state", headers={"x-agent-key": KEY}) as response:
        assert response.status == 200


async def test_registering_again_is_answered_alike_to_the_challenge(server: Running, api: Api) -> None:
    key = await api.provisioning_key(maxUses=1)
    first = await registered(api, key, devicePublicKey=pem(SIGNS))
    before = await everything(server.db)

    assert await registered(api, key, devicePublicKey=RAW.hex()) == first
    assert await everything(server.db) == before


async def test_a_signature_of_anybody_else_or_over_anything_else_is_refused(server: Running, api: Api) -> None:
    text = await challenge(api)
    before = await everything(server.db)
    right = SIGNS.sign(text.encode())

    for wrong in (
        Ed25519PrivateKey.generate().sign(text.encode()).hex(), SIGNS.sign(b"").hex(), SIGNS.sign(text.upper().encode()).hex(),
        right.hex() + "00",
        right[:-1].hex(), "", "no signature", "ä",
    ):  # fmt: skip
        status, answer = await exchanged(api, wrong)
        assert (status, answer["error"]) == (401, "signature: it is not over the challenge, by the device's key"), wrong
    assert (await exchanged(api, right.hex(), key="b" * 64))[0] == 401
    assert (await exchanged(api, right.hex(), uuid=nth(2)))[0] == 400
    assert await everything(server.db) == before
    assert (await exchanged(api, right.hex()))[0] == 200


async def test_a_signature_that_is_wrong_brings_no_new_key(server: Running, api: Api) -> None:
    text = await challenge(api)
    before = await everything(server.db)

    assert (await exchanged(api, SIGNS.sign(b"").hex(), deviceApiKey="b" * 64))[0] == 401
    assert await everything(server.db) == before
    assert (await exchanged(api, SIGNS.sign(text.encode()).hex(), deviceApiKey="b" * 64))[0] == 200
    assert (await exchanged(api, None, key="b" * 64))[0] == 200


async def test_a_device_that_registered_without_a_public_key_cannot_sign_until_it_brings_one(api: Api) -> None:
    key = await api.provisioning_key()
    _, plain = await registered(api, key)
    assert "challenge" not in plain
    assert (await exchanged(api, SIGNS.sign(b"x").hex()))[0] == 409

    _, answer = await registered(api, key, devicePublicKey=pem(SIGNS))
    assert (await exchanged(api, SIGNS.sign(answer["challenge"].encode()).hex()))[0] == 200


async def test_another_public_key_gets_another_challenge(api: Api) -> None:
    key, other = await api.provisioning_key(), Ed25519PrivateKey.generate()
    _, first = await registered(api, key, devicePublicKey=pem(SIGNS))
    _, second = await registered(api, key, devicePublicKey=pem(other))

    assert first["challenge"] != second["challenge"]
    assert (await exchanged(api, SIGNS.sign(second["challenge"].encode()).hex()))[0] == 401
    assert (await exchanged(api, other.sign(second["challenge"].encode()).hex()))[0] == 200


@pytest.mark.parametrize(
    "wrong",
    ["", "x", RAW.hex()[:-2], pem(generate_private_key(65537, 2048)), pem(SIGNS)[:60], b64encode(DER[:-1]).decode()],
    ids=["nothing", "no key", "too short", "RSA", "cut off", "cut off in base64"],
)
async def test_what_is_no_public_key_is_refused_by_field_and_nothing_changes(server: Running, api: Api, wrong: str) -> None:
    key = await api.provisioning_key()
    before = await everything(server.db)

    status, answer = await registered(api, key, devicePublicKey=wrong)

    assert (status, "devicePublicKey" in answer["error"]) == (400, True)
    assert await everything(server.db) == before
