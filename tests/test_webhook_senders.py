"""What each sender's body means. Payloads are whole ones, made from the fields each vendor documents."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import BadInput
from domain.images import Image, Push
from registries.webhooks import read

PAYLOADS = Path(__file__).parent / "payloads"
A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
NOBODY: Mapping[str, str] = {}
PACKAGE = {"x-github-event": "package"}


def payload(name: str) -> dict[str, Any]:
    body = json.loads((PAYLOADS / f"{name}.json").read_text())
    assert isinstance(body, dict)
    return body


def altered(name: str, path: str, value: object) -> dict[str, Any]:
    """A payload with another value in one place."""
    body = payload(name)
    *way, last = path.split(".")
    place: Any = body
    for step in way:
        place = place[int(step) if isinstance(place, list) else step]
    place[int(last) if isinstance(place, list) else last] = value
    return body


def pushed(body: object, headers: Mapping[str, str] = NOBODY) -> list[str]:
    return [str(push.image) for push in read(headers, json.dumps(body).encode())]


@pytest.mark.parametrize(
    ("name", "headers", "sender", "images"),
    [
        ("docker_hub", {}, "docker-hub", ["acme/edge-agent:1.4.2"]),
        ("github_package", PACKAGE, "github", [f"ghcr.io/acme/edge-agent:v1.4.2@{A}"]),
        ("github_package", {}, "github", [f"ghcr.io/acme/edge-agent:v1.4.2@{A}"]),
        ("github_registry_package", {"x-github-event": "registry_package"}, "github", [f"ghcr.io/acme/edge-agent:latest@{B}"]),
        ("github_registry_package", {}, "github", [f"ghcr.io/acme/edge-agent:latest@{B}"]),
        ("github_ping", {"x-github-event": "ping"}, "github", []),
        (
            "distribution",
            {"content-type": "application/vnd.docker.distribution.events.v2+json"},
            "distribution",
            [
                f"registry.acme.example:5000/acme/edge-agent:1.4.2@{A}",
                f"registry.acme.example:5000/acme/edge-agent:latest@{A}",
                f"registry.acme.example:5000/acme/tools/probe:main@sha256:{'c' * 64}",
            ],
        ),
        ("generic", {}, "generic", [f"ghcr.io/acme/edge-agent:1.4.2@{A}"]),
    ],
)
def test_a_whole_payload_says_what_was_pushed(name: str, headers: Mapping[str, str], sender: str, images: list[str]) -> None:
    assert read(headers, json.dumps(payload(name)).encode()) == [Push(Image.parse(image), sender) for image in images]


# Docker Hub


def test_the_smallest_docker_hub_body_is_enough() -> None:
    body = b'{"repository": {"repo_name": "nginx"}, "push_data": {"tag": "latest"}}'

    assert read({}, body) == [Push(Image("docker.io/library/nginx", "latest", None), "docker-hub")]


def test_docker_hub_speaks_for_docker_hub_only() -> None:
    (push,) = read({}, json.dumps(altered("docker_hub", "repository.repo_name", "ghcr.io/acme/app")).encode())

    assert push.image.repository == "docker.io/ghcr.io/acme/app"


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("push_data", {}, "push_data.tag is missing"),
        ("push_data", None, "push_data cannot be understood"),
        ("push_data.tag", None, "push_data.tag cannot be understood: input should be a valid string"),
        ("push_data.tag", 1.27, "push_data.tag cannot be understood"),
        ("push_data.tag", "", "push_data.tag.*not a tag"),
        ("push_data.tag", f"latest@{A}", "push_data.tag.*not a tag"),
        ("repository.repo_name", ["nginx"], "repository.repo_name cannot be understood"),
        ("repository.repo_name", "Nginx", "repository.repo_name.*lower case"),
        ("repository.repo_name", "nginx:1", "repository.repo_name.*name of a repository"),
        ("repository.repo_name", "nginx\x00", "repository.repo_name.*name of a repository"),
        ("repository.repo_name", "", "repository.repo_name.*name of a repository"),
    ],
)
def test_a_docker_hub_body_that_names_no_image_is_refused_by_field(path: str, value: object, why: str) -> None:
    with pytest.raises(BadInput, match=f"^docker-hub.*{why}"):
        pushed(altered("docker_hub", path, value))


# GitHub


@pytest.mark.parametrize("event", ["ping", "push", "release", "package_v2", ""])
def test_other_github_events_are_no_pushes(event: str) -> None:
    assert pushed(payload("github_package"), {"x-github-event": event}) == []


VERSION = "package.package_version"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("action", "deleted"),
        (f"{VERSION}.container_metadata.tag.name", ""),  # one platform's manifest, or an attestation
        (f"{VERSION}.container_metadata.tag.name", None),
        (f"{VERSION}.container_metadata.tag", None),
        (f"{VERSION}.container_metadata", None),
        (VERSION, None),
        (f"{VERSION}.container_metadata.tag.name", "sha256-" + "a" * 64 + ".sig"),  # cosign
    ],
)
def test_what_is_published_without_a_tag_for_people_is_no_push(path: str, value: object) -> None:
    assert pushed(altered("github_package", path, value), PACKAGE) == []


@pytest.mark.parametrize("kind", ["npm", "maven", "rubygems", None])
def test_other_kinds_of_package_are_no_pushes(kind: str | None) -> None:
    body = altered("github_package", "package.package_type", kind)
    body["package"]["ecosystem"] = kind

    assert pushed(body, PACKAGE) == []


@pytest.mark.parametrize(("kind", "ecosystem"), [("container", None), ("docker", ""), (None, "CONTAINER"), ("npm", "container")])
def test_a_container_is_known_by_either_field(kind: str | None, ecosystem: str | None) -> None:
    body = altered("github_package", "package.package_type", kind)
    body["package"]["ecosystem"] = ecosystem

    assert pushed(body, PACKAGE) == [f"ghcr.io/acme/edge-agent:v1.4.2@{A}"]


def test_an_update_of_a_package_is_a_push() -> None:
    assert pushed(altered("github_package", "action", "updated"), PACKAGE) == [f"ghcr.io/acme/edge-agent:v1.4.2@{A}"]


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("ghcr.io/acme/edge-agent:v1.4.2", "ghcr.io/acme/edge-agent"),
        ("ghcr.io/Acme/Edge-Agent:v1.4.2", "ghcr.io/acme/edge-agent"),
        ("ghcr.io/acme/edge-agent:", "ghcr.io/acme/edge-agent"),
        ("containers.github.acme.example/acme/edge-agent:v1", "containers.github.acme.example/acme/edge-agent"),
        ("docker.pkg.github.com/acme/source/edge-agent:v1", "docker.pkg.github.com/acme/source/edge-agent"),
        *((url, "ghcr.io/acme/edge-agent") for url in [None, "", "acme/edge-agent:v1", "https://github.com/acme", "::", "docker.io/a/b"]),
    ],
)
def test_the_owner_and_the_host_are_never_lost(url: str | None, repository: str) -> None:
    (push,) = read(PACKAGE, json.dumps(altered("github_package", f"{VERSION}.package_url", url)).encode())

    assert (push.image.repository, push.image.tag) == (repository, "v1.4.2")


def test_the_owner_stands_in_for_a_missing_namespace() -> None:
    body = altered("github_package", f"{VERSION}.package_url", None)
    del body["package"]["namespace"]
    assert pushed(body, PACKAGE) == [f"ghcr.io/acme/edge-agent:v1.4.2@{A}"]

    body["package"]["owner"] = None
    with pytest.raises(BadInput, match=r"package\.namespace is missing"):
        pushed(body, PACKAGE)


def test_a_version_that_is_no_digest_is_neither_digest_nor_tag() -> None:
    body = altered("github_package", f"{VERSION}.version", "1.0.0")
    body["package"]["package_version"]["container_metadata"]["tag"]["digest"] = ""

    assert pushed(body, PACKAGE) == ["ghcr.io/acme/edge-agent:v1.4.2"]


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("package", None, "package is missing"),
        ("package", "edge-agent", "package cannot be understood"),
        ("package.name", None, "package.name cannot be understood"),
        ("action", 7, "action cannot be understood"),
        (f"{VERSION}.container_metadata.tag.name", "a b", "container_metadata.tag.*not a tag"),
        (f"{VERSION}.container_metadata.tag.digest", "sha256:12", "container_metadata.tag.*not a digest"),
        (f"{VERSION}.container_metadata.tag", "latest", "package.package_version.container_metadata.tag cannot be understood"),
    ],
)
def test_a_package_that_names_no_image_is_refused_by_field(path: str, value: object, why: str) -> None:
    with pytest.raises(BadInput, match=f"^github.*{why}"):
        pushed(altered("github_package", path, value), PACKAGE)


# CNCF Distribution


@pytest.mark.parametrize("action", ["pull", "mount", "delete", ""])
def test_only_a_push_is_a_push(action: str) -> None:
    body = payload("distribution")
    for event in body["events"]:
        event["action"] = action

    assert pushed(body) == []


@pytest.mark.parametrize(
    ("kind", "is_image"),
    [
        (None, True),
        ("", True),
        ("application/vnd.docker.distribution.manifest.list.v2+json", True),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", True),
        ("application/vnd.oci.image.manifest.v1+json; charset=utf-8", True),
        ("application/vnd.oci.image.layer.v1.tar+gzip", False),
        ("application/octet-stream", False),
    ],
)
def test_only_a_manifest_is_an_image(kind: str | None, is_image: bool) -> None:
    body = altered("distribution", "events", [payload("distribution")["events"][3]])
    body["events"][0]["target"]["mediaType"] = kind

    assert bool(pushed(body)) is is_image


def test_an_envelope_may_be_empty() -> None:
    assert pushed({"events": []}) == []


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("events", None, "events cannot be understood"),
        ("events", {}, "events cannot be understood"),
        ("events.3", "push", "events.3 cannot be understood"),
        ("events.3.action", None, "events.3.action cannot be understood"),
        ("events.3.request", None, "request.host is missing"),
        ("events.3.request", {}, "request.host is missing"),
        ("events.3.request.host", "", "request.host is missing"),
        ("events.3.request.host", "registry", "request.host.*cannot be the registry"),  # Docker would ask Docker Hub
        ("events.3.target.repository", None, "target.repository is missing"),
        ("events.3.target.repository", "a:b", "target.repository.*name of a repository"),
        ("events.3.target.tag", ["latest"], "events.3.target.tag cannot be understood"),
        ("events.3.target.tag", "la test", "target.tag.*not a tag"),
        ("events.3.target.digest", "sha256:xyz", "not a digest"),
    ],
)
def test_an_envelope_that_names_no_image_is_refused_by_field(path: str, value: object, why: str) -> None:
    with pytest.raises(BadInput, match=f"^distribution.*{why}"):
        pushed(altered("distribution", path, value))


# Anybody else


@pytest.mark.parametrize(
    ("body", "image"),
    [
        ({"image": "nginx"}, "nginx:latest"),
        ({"image": "nginx", "tag": "1.27"}, "nginx:1.27"),
        ({"image": "nginx:1.27", "tag": "1.27"}, "nginx:1.27"),
        ({"image": "nginx:1.27", "tag": None, "digest": A}, f"nginx:1.27@{A}"),
        ({"image": "nginx", "digest": A}, f"nginx@{A}"),
        ({"image": f"nginx@{A}", "tag": "1.27"}, f"nginx:1.27@{A}"),
        ({"image": f"localhost:5000/a:b@{A}", "tag": "b", "digest": A}, f"localhost:5000/a:b@{A}"),
    ],
)
def test_tag_and_digest_stand_in_the_image_or_beside_it(body: object, image: str) -> None:
    assert pushed(body) == [image]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"image": "nginx:latest", "tag": "1.27"}, "tag and image disagree about the tag"),
        ({"image": f"nginx@{A}", "digest": B}, "digest and image disagree about the digest"),
        ({"image": "nginx", "tag": ""}, "not a tag"),  # a variable nobody set must not become “latest”
        ({"image": "nginx", "digest": ""}, "not a digest"),
        ({"image": ""}, "is missing"),
        ({"image": "https://ghcr.io/a"}, "no scheme"),
        ({"image": None}, "image cannot be understood"),
        ({"image": {"name": "nginx"}}, "image cannot be understood"),
        ({"image": "nginx", "tag": 1.27}, "tag cannot be understood"),
    ],
)
def test_a_body_at_odds_with_itself_is_refused(body: object, why: str) -> None:
    with pytest.raises(BadInput, match=f"^generic.*{why}"):
        pushed(body)


# Whatever else arrives


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"payload=%7B%7D", "content type must be application/json"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"image": "\xff"}', "not JSON"),
        (b'{"image": NaN}', "not JSON"),
        (b'{"image": "\\ud800"}', "not JSON"),
        (b'{"image": "a\x00"}', "not JSON"),
        (b'{"image": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "not JSON"),
        (b'{"image": "nginx"} {}', "not JSON"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b'"nginx"', "not an object"),
        (b"1e999", "not an object"),
        (b"{}", r"expected one of: .*docker-hub \(repository.repo_name and push_data.tag\)"),
        (b'{"repository": "acme/app", "push_data": []}', "expected one of"),
        (b'{"image": ' + b"9" * 300 + b"}", "image cannot be understood"),
        (b'{"image": 1e999}', "image cannot be understood"),
        (b'{"image": "a\\u0000"}', "control characters"),
    ],
)
def test_what_nobody_sends_is_refused_in_words(body: bytes, why: str) -> None:
    with pytest.raises(BadInput, match=why) as refused:
        read({}, body)

    assert str(refused.value).isprintable()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(["", "a:b", "A", "\x00", A, "push"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
headers = st.sampled_from([{}, PACKAGE, {"x-github-event": "registry_package"}, {"x-github-event": "ping"}])


def places(value: object, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, inner in inside for place in places(inner, (*here, key)))]


def is_read_or_refused(headers: Mapping[str, str], body: bytes) -> None:
    try:
        pushes = read(headers, body)
    except BadInput:
        return
    assert all(Image.parse(str(push.image)) == push.image for push in pushes)


WHOLE = {path.stem: payload(path.stem) for path in sorted(PAYLOADS.glob("*.json"))}
PLACES = [(name, place) for name, body in WHOLE.items() for place in places(body) if place]


@settings(max_examples=800, deadline=None)
@given(headers, st.sampled_from(PLACES), values, st.booleans())
def test_a_damaged_payload_is_read_or_refused(
    headers: Mapping[str, str], damage: tuple[str, tuple[str | int, ...]], value: object, is_loss: bool
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

    is_read_or_refused(headers, json.dumps(body).encode())


keys = st.sampled_from(
    ["repository", "push_data", "events", "image", "tag", "digest", "package", "registry_package", "action", "repo_name"]
)
shapes = st.recursive(values, lambda inner: st.dictionaries(keys, inner, max_size=4) | st.lists(inner, max_size=2), max_leaves=8)


@settings(max_examples=400, deadline=None)
@given(headers, shapes)
def test_any_json_is_read_or_refused(headers: Mapping[str, str], body: object) -> None:
    is_read_or_refused(headers, json.dumps(body).encode())


@settings(max_examples=300, deadline=None)
@given(headers, st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(headers: Mapping[str, str], body: bytes) -> None:
    is_read_or_refused(headers, body)
