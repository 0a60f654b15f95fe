"""Kept secrets: encrypted with keys that are replaced one after the other, and found nowhere in clear."""

import asyncio
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from domain.endpoints import Scheme, Sender
from domain.errors import Conflict, Unavailable
from domain.ids import EndpointId
from resolvers import endpoints, registries
from resolvers.context import Context
from resolvers.vault import Vault
from server.encryption import with_own_key
from server.process import running
from server.settings import BadSetting, Settings
from storage.database import Database
from tests.api import Api, everything
from tests.conftest import SECRET
from tests.senders import POSTS, accepted, made, told
from tools.snapshots import ROOT

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
NGINX = {"image": "nginx", "tag": "1.27"}
NO_KEY = "a kept secret was encrypted with a key that is not in ROLLWAVE_ENCRYPTION_KEY: add that key, or set it anew"


@asynccontextmanager
async def serving(url: str, *keys: str) -> AsyncIterator[Api]:
    """A server with these keys."""
    async with running(Settings(port=0, webhook_secret=SECRET, encryption_keys=keys), url) as server, Api.of(server, SECRET) as api:
        yield api


def test_what_was_sealed_is_read_with_its_key_among_others_and_is_never_the_same_twice() -> None:
    sealed = Vault([OLD]).seal("a secret")

    assert Vault([NEW, OLD]).open(sealed) == "a secret"
    assert Vault([OLD]).open(Vault([OLD, NEW]).seal("another")) == "another"
    assert b"secret" not in sealed
    assert sealed != Vault([OLD]).seal("a secret")


@pytest.mark.parametrize("keys", [[], [NEW]])
def test_without_its_key_a_secret_stays_closed(keys: list[str]) -> None:
    with pytest.raises(Unavailable, match=r"^a kept secret was encrypted with a key that is not in ROLLWAVE_ENCRYPTION_KEY"):
        Vault(keys).open(Vault([OLD]).seal("a secret"))


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(Conflict, match="set ROLLWAVE_ENCRYPTION_KEY"):
        Vault().seal("a secret")


async def test_no_secret_stands_in_clear_anywhere_in_the_database(operator: Context, api: Api) -> None:
    shown = [SECRET, "hunter2-of-the-registry"]
    for scheme in (Scheme.SIGNATURE, Scheme.HEADER, Scheme.PATH):
        endpoint = await made(api, Sender.GENERIC, scheme)
        await accepted(api, endpoint, NGINX)
        shown.append(endpoint.secret)
        _, rotated = await endpoints.rotate(operator, EndpointId(endpoint.number), 60)
        shown.append(rotated)
        for path, proof in endpoint.proven(POSTS[Sender.GENERIC].body):
            async with api.http.post(endpoint.path + path, data=POSTS[Sender.GENERIC].body, headers=proof) as response:
                assert response.status == 202
    await registries.save(operator, "ghcr.io", "ci", "hunter2-of-the-registry", plain_http=False)
    await api.webhook(NGINX)

    kept = dumped(await everything(operator.db))

    assert b"deliveries" in kept
    assert b"rollwave_webhook_" not in kept
    for secret in shown:
        for form in (secret.encode(), secret.encode().hex().encode(), b64encode(secret.encode()).rstrip(b"=")):
            assert form not in kept, secret


def dumped(tables: dict[str, list[Any]]) -> bytes:
    """All rows, their bytes as they are."""
    values = [value for name, rows in tables.items() for row in rows for value in (name, *row)]
    return b"\n".join(value if isinstance(value, bytes) else repr(value).encode() for value in values)


async def test_a_server_without_its_key_tells_senders_to_come_again_and_operators_what_to_do(database_url: str, db: Database) -> None:
    async with serving(database_url, OLD) as api:
        endpoint = await made(api, Sender.GENERIC)
    before = await everything(db)

    for keys in ([NEW], []):
        async with serving(database_url, *keys) as api:
            body = b'{"image": "nginx:1.27"}'
            async with api.http.post(endpoint.path, data=body, headers=endpoint.proven(body)[0][1]) as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "60")
                assert await response.json() == {"error": NO_KEY}
    assert (await everything(db))["deliveries"] == before["deliveries"]

    async with serving(database_url, NEW, OLD) as api:
        await accepted(api, endpoint, NGINX)


async def test_a_server_without_keys_makes_no_secrets_and_does_the_rest(database_url: str, db: Database) -> None:
    async with serving(database_url) as api:
        before = await everything(db)
        wanted = {"name": "images", "sender": "GENERIC"}
        sentence = "the server keeps no secrets: set ROLLWAVE_ENCRYPTION_KEY, the same for all its processes"

        assert await api.refusal("createWebhookEndpoint", **wanted) == ("CONFLICT", sentence)
        assert await api.refusal("setRegistry", host="ghcr.io", username="ci", password="x") == ("CONFLICT", sentence)
        unchanged = {name: rows for name, rows in (await everything(db)).items() if name != "tokens"}
        assert unchanged == {name: rows for name, rows in before.items() if name != "tokens"}

        await api.change("setRegistry", host="ghcr.io")
        google = {"name": "gar", "sender": "GOOGLE", "audience": "https://x.example", "serviceAccount": "a@b.example"}
        assert await api.change("createWebhookEndpoint", "secret", **google) == {"secret": None}
        assert (await api.webhook(NGINX))[0] == 202


async def test_keys_are_replaced_one_after_the_other(database_url: str) -> None:
    async with serving(database_url, OLD) as api:
        first = await made(api, Sender.GENERIC)
    async with serving(database_url, NEW, OLD) as api:
        second = await made(api, Sender.GENERIC)
        assert [(await told(api, endpoint, NGINX))[0] for endpoint in (first, second)] == [202, 202]
    async with serving(database_url, NEW) as api:
        assert [(await told(api, endpoint, NGINX))[0] for endpoint in (first, second)] == [503, 202]
        anew = (await api.change("rotateWebhookSecret", "secret", id=first.id))["secret"]
        body = b'{"image": "nginx:1.27"}'
        async with api.http.post(first.path, data=body, headers=first.proven(body, anew)[0][1]) as response:
            assert response.status == 202


async def test_a_registry_whose_password_cannot_be_read_is_asked_once_it_can(operator: Context, database_url: str) -> None:
    await registries.save(operator, "ghcr.io", "ci", "x", plain_http=False)

    async with serving(database_url, NEW) as api:
        await api.devices("ghcr.io/acme/app:latest")
        await api.policy(imagePattern="**")
        _, answer = await api.webhook({"image": "ghcr.io/acme/app:latest"})
        async with asyncio.timeout(10):
            while not (waits := (await api.delivery(answer["delivery_id"]))["pushes"][0]["waitsFor"]):
                await asyncio.sleep(0.02)

    assert waits == f"policy 1: its digest is not known: ghcr.io cannot be asked: {NO_KEY}"


# A key of its own


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def test_an_embedded_server_makes_its_key_once_for_nobody_else_to_read(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new" / "data")

    [key] = with_own_key(settings).encryption_keys

    Fernet(key)
    file = settings.data_dir / "encryption.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert names_in(settings.data_dir) == ["encryption.key"]
    assert with_own_key(settings).encryption_keys == (key,)


async def test_of_servers_that_start_at_once_all_have_the_same_key(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from server.encryption import with_own_key
from server.settings import Settings
print(*with_own_key(Settings(data_dir=Path({str(tmp_path)!r}))).encryption_keys)
"""
    started = [await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT, stdout=asyncio.subprocess.PIPE) for _ in range(6)]
    keys = {(await process.communicate())[0].decode().strip() for process in started}

    assert keys == {(tmp_path / "encryption.key").read_text()}
    assert names_in(tmp_path) == ["encryption.key"]


def test_a_key_that_is_set_and_a_database_that_is_shared_need_none_of_its_own(tmp_path: Path) -> None:
    set_already = Settings(data_dir=tmp_path, encryption_keys=(OLD,))
    shared = Settings(data_dir=tmp_path, database_url="postgresql://db/rollwave")

    assert (with_own_key(set_already), with_own_key(shared)) == (set_already, shared)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("content", ["", "not a key", "\n"])
def test_a_file_that_holds_no_key_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "encryption.key").write_text(content)

    with pytest.raises(BadSetting, match=r"encryption\.key holds no key"):
        with_own_key(Settings(data_dir=tmp_path))

    assert (tmp_path / "encryption.key").read_text() == content


def test_a_key_is_read_with_the_line_end_that_an_editor_leaves(tmp_path: Path) -> None:
    (tmp_path / "encryption.key").write_text(OLD + "\n")

    assert with_own_key(Settings(data_dir=tmp_path)).encryption_keys == (OLD,)


def test_keys_in_the_environment_are_several_and_checked() -> None:
    assert Settings.read({"ROLLWAVE_ENCRYPTION_KEY": f"{NEW}, {OLD}"}).encryption_keys == (NEW, OLD)
    with pytest.raises(BadSetting, match="ROLLWAVE_ENCRYPTION_KEY must be keys of 32 random bytes"):
        Settings.read({"ROLLWAVE_ENCRYPTION_KEY": "x" * 44})
