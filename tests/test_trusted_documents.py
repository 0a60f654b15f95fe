"""Documents that are asked for by the hash of their text, and servers that take nothing else."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLError

from domain.actors import Actor, Role
from server.graphql.asked import Asked
from server.graphql.documents import Documents
from server.settings import BadSetting, Settings
from tests.api import Api
from tests.transports import ANSWERED, EVENTS, NEW, OLD, TYPENAME, asked, known, received, told

OTHER = "{ other: __typename }"


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


TRUSTED = hashed(TYPENAME)
# With a word of why.
UNASKABLE = [
    ("{", "Syntax Error"),
    ("{ nonsense }", "Cannot query field 'nonsense'"),
    (r'{ policies(after: "\u0000") { totalCount } }', "null character"),
    ("{ policies(first: 100) { nodes { rollouts(first: 100) { nodes { devices(first: 100) { nodes { deviceUuid } } } } } } }", "points"),
    (f"{{ {' '.join(f'a{number}: __typename' for number in range(60))} }}", "fields at the top"),
    (f"{{ {'__typename ' * 2_001} }}", "more than 2000 tokens"),
]


def manifest(directory: Path, content: Any) -> Path:
    path = directory / "manifest.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, documents=Documents({TRUSTED: TYPENAME}))


async def test_a_trusted_document_is_asked_for_by_its_hash_on_every_transport(api: Api) -> None:
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": TRUSTED}}
    ways: list[dict[str, Any]] = [{"documentId": TRUSTED}, {"documentId": f"sha256:{TRUSTED}"}, {"extensions": persisted}]

    for way in [*ways, {"extensions": persisted, "query": TYPENAME}, {"documentId": f"sha256:{TRUSTED}", "query": TYPENAME}]:
        written = {name: value if isinstance(value, str) else json.dumps(value) for name, value in way.items()}
        assert await told(api, json=way) == (200, ANSWERED)
        assert await told(api, "GET", params=written) == (200, ANSWERED)
        async with asked(api, json=way, headers={"Accept": EVENTS}) as response:
            assert '"data":{"__typename":"Query"}' in await response.text()
        async with known(api) as ws:
            await ws.send_json({"type": "subscribe", "id": "1", "payload": way})
            assert await received(ws) == {"id": "1", "type": "next", "payload": ANSWERED}


async def test_an_unknown_hash_is_said_in_the_words_that_apollos_clients_know(api: Api) -> None:
    unknown = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hashed(OTHER)}}}

    for accept, status in ((OLD, 200), (NEW, 400)):
        answer = await told(api, json=unknown, headers={"Accept": accept})
        assert (answer[0], [error["extensions"] for error in answer[1]["errors"]]) == (status, [{"code": "PERSISTED_QUERY_NOT_FOUND"}])
    async with known(api) as ws:
        await ws.send_json({"type": "subscribe", "id": "1", "payload": unknown})
        answer = await ws.receive_json()
        assert (answer["type"], answer["payload"][0]["extensions"]) == ("error", {"code": "PERSISTED_QUERY_NOT_FOUND"})
    assert (await told(api, json={**unknown, "query": OTHER}))[0] == 200
    mismatched = await told(api, json={**unknown, "query": TYPENAME})
    assert mismatched[1]["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


def test_where_they_are_mandatory_only_administrators_may_ask_for_anything_else() -> None:
    only = Documents({TRUSTED: TYPENAME}, only=True)

    for somebody in (Actor.of("eve", Role.READER), Actor.operator("ops")):
        assert only.text(Asked(None, TRUSTED), somebody) == TYPENAME
        assert only.text(Asked(TYPENAME), somebody) == TYPENAME
        with pytest.raises(GraphQLError) as refused:
            only.text(Asked(OTHER), somebody)
        assert refused.value.extensions == {"code": "DOCUMENT_NOT_TRUSTED"}
        assert Documents().text(Asked(OTHER), somebody) == OTHER
    assert only.text(Asked(OTHER), Actor.administrator("ada")) == OTHER


def test_a_manifest_is_read_as_its_makers_write_it(tmp_path: Path) -> None:
    apollo = {
        "format": "apollo-persisted-query-manifest",
        "version": 1,
        "operations": [{"id": TRUSTED, "name": "A", "type": "query", "body": TYPENAME}],
    }

    for content in (apollo, {TRUSTED: TYPENAME}, {f"sha256:{TRUSTED}": TYPENAME}, {TRUSTED.upper(): TYPENAME}):
        settings = Settings.read({"ROLLWAVE_TRUSTED_DOCUMENTS": str(manifest(tmp_path, content)), "ROLLWAVE_TRUSTED_DOCUMENTS_ONLY": "1"})
        assert settings.documents == Documents({TRUSTED: TYPENAME}, only=True)
    assert Settings.read({"ROLLWAVE_TRUSTED_DOCUMENTS": str(manifest(tmp_path, {}))}).documents == Documents()


def test_a_manifest_that_is_wrong_is_refused_at_start(tmp_path: Path) -> None:
    of_apollo = {"format": "apollo-persisted-query-manifest"}
    wrong: list[tuple[Any, str]] = [
        ("not JSON", "cannot be read"),
        ([], "an object from hashes to documents"),
        ({TRUSTED: OTHER}, "not the SHA-256"),
        ({"md5": TYPENAME}, "not the SHA-256"),
        *[({hashed(text): text}, said) for text, said in UNASKABLE],
        ({TRUSTED: 7}, "a text under its hash"),
        ({**of_apollo, "operations": [{"id": 7, "body": TYPENAME}]}, "a text under its hash"),
        ({**of_apollo, "operations": [7]}, "a text under its hash"),
        ({**of_apollo, "operations": 7}, "a text under its hash|not the SHA-256"),
    ]
    for content, said in wrong:
        with pytest.raises(BadSetting, match=said) as refused:
            Settings.read({"ROLLWAVE_TRUSTED_DOCUMENTS": str(manifest(tmp_path, content))})
        assert str(refused.value).startswith("ROLLWAVE_TRUSTED_DOCUMENTS: ")


def test_they_cannot_be_mandatory_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="ROLLWAVE_TRUSTED_DOCUMENTS_ONLY needs ROLLWAVE_TRUSTED_DOCUMENTS"):
        Settings.read({"ROLLWAVE_TRUSTED_DOCUMENTS_ONLY": "1"})
    with pytest.raises(BadSetting, match="cannot be read"):
        Settings.read({"ROLLWAVE_TRUSTED_DOCUMENTS": str(tmp_path / "none")})
