"""Whatever arrives is read or refused in words: never a crash, never an image that cannot be written down."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.endpoints import Sender
from domain.errors import BadInput
from domain.images import Image
from registries.webhooks import Received, read

PAYLOADS = Path(__file__).parent / "payloads"
A = "sha256:" + "a" * 64

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(["", "a:b", "A", "\x00", A, "push"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
headers = st.sampled_from(
    [
        {},
        {"x-github-event": "package"},
        {"x-github-event": "ping"},
        {"x-gitea-event": "package", "x-gitea-delivery": "1"},
        {"x-nexus-webhook-id": "rm:repository:component"},
        {"user-agent": "AzureContainerRegistry/1.0"},
    ]
)
endpoints = st.tuples(st.none() | st.sampled_from(Sender), st.sampled_from([None, "registry.acme.example", "", "no host", "\x00"]))


def places(value: object, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, inner in inside for place in places(inner, (*here, key)))]


def is_read_or_refused(headers: Mapping[str, str], body: bytes, endpoint: tuple[Sender | None, str | None]) -> None:
    sender, default_host = endpoint
    try:
        told = read(headers, body, sender=sender, default_host=default_host)
    except BadInput as refused:
        why = str(refused)
    else:
        why = ""
        assert_understood(told, sender)
    assert why.isprintable()


def assert_understood(told: Received, sender: Sender | None) -> None:
    assert sender in (None, told.sender)
    assert len(set(told.images)) == len(told.images)
    assert all(Image.parse(str(image)) == image for image in told.images)


WHOLE = {path.stem: json.loads(path.read_text()) for path in sorted(PAYLOADS.glob("*.json"))}
PLACES = [(name, place) for name, body in WHOLE.items() for place in places(body) if place]


@settings(max_examples=1500, deadline=None)
@given(headers, endpoints, st.sampled_from(PLACES), values, st.booleans())
def test_a_damaged_payload_is_read_or_refused(
    headers: Mapping[str, str],
    endpoint: tuple[Sender | None, str | None],
    damage: tuple[str, tuple[str | int, ...]],
    value: object,
    is_loss: bool,
) -> None:
    name, (*way, last) = damage
    body = copy.deepcopy(WHOLE[name])
    holder: Any = body
    for step in way:
        holder = holder[step]
    if is_loss:
        del holder[last]
    else:
        holder[last] = value

    is_read_or_refused(headers, json.dumps(body).encode(), endpoint)


keys = st.sampled_from(sorted({step for _, place in PLACES for step in place if isinstance(step, str)}))
shapes = st.recursive(values, lambda inner: st.dictionaries(keys, inner, max_size=4) | st.lists(inner, max_size=2), max_leaves=8)


@settings(max_examples=400, deadline=None)
@given(headers, endpoints, shapes)
def test_any_json_is_read_or_refused(headers: Mapping[str, str], endpoint: tuple[Sender | None, str | None], body: object) -> None:
    is_read_or_refused(headers, json.dumps(body).encode(), endpoint)


@settings(max_examples=300, deadline=None)
@given(headers, endpoints, st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(headers: Mapping[str, str], endpoint: tuple[Sender | None, str | None], body: bytes) -> None:
    is_read_or_refused(headers, body, endpoint)
