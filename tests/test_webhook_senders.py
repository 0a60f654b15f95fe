"""What each sender's body means. Payloads are whole ones, made from the fields each vendor documents."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.endpoints import Sender
from domain.errors import BadInput
from domain.images import Image
from registries.webhooks import Received, read

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


def received(body: object, headers: Mapping[str, str] = NOBODY, sender: Sender | None = None, default_host: str | None = None) -> Received:
    return read(headers, json.dumps(body).encode(), sender=sender, default_host=default_host)


def pushed(body: object, headers: Mapping[str, str] = NOBODY, **endpoint: Any) -> list[str]:
    return [str(image) for image in received(body, headers, **endpoint).images]


SOURCES = {
    "docker_hub": "https://docs.docker.com/docker-hub/repos/manage/webhooks/",
    "github_package": "https://docs.github.com/en/webhooks/webhook-events-and-payloads#package",
    "github_registry_package": "https://docs.github.com/en/webhooks/webhook-events-and-payloads#registry_package",
    "github_ping": "https://docs.github.com/en/webhooks/webhook-events-and-payloads#ping",
    "quay": "https://docs.redhat.com/en/documentation/red_hat_quay/3.8/html/use_red_hat_quay/repository_notifications",
    "quay_build": "https://docs.redhat.com/en/documentation/red_hat_quay/3.8/html/use_red_hat_quay/repository_notifications",
    "harbor": "https://goharbor.io/docs/edge/working-with-projects/project-configuration/configure-webhooks/",
    "harbor_scan": "https://goharbor.io/docs/edge/working-with-projects/project-configuration/configure-webhooks/",
    "harbor_cloudevents": "https://github.com/goharbor/harbor/blob/main/src/pkg/notifier/formats/cloudevents.go",
    "gitlab": "https://docs.gitlab.com/administration/packages/container_registry/#configure-container-registry-notifications",
    "distribution": "https://distribution.github.io/distribution/about/notifications/",
    "azure": "https://learn.microsoft.com/en-us/azure/container-registry/container-registry-webhook-reference",
    "azure_ping": "https://learn.microsoft.com/en-us/azure/container-registry/container-registry-webhook",
    "ecr": "https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html",
    "ecr_scan": "https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html",
    "ecr_cloudevents": "https://github.com/argoproj-labs/argocd-image-updater/pull/1370",
    "google": "https://cloud.google.com/artifact-registry/docs/configure-notifications https://cloud.google.com/pubsub/docs/push",
    "google_unwrapped": "https://cloud.google.com/pubsub/docs/payload-unwrapping",
    "gitea": "https://github.com/go-gitea/gitea/blob/main/modules/structs/package.go https://docs.gitea.com/usage/webhooks",
    "jfrog": "https://jfrog.com/help/r/jfrog-platform-administration-documentation/domain-docker",
    "jfrog_artifact": "https://jfrog.com/help/r/jfrog-platform-administration-documentation/domain-artifact",
    "nexus": "https://help.sonatype.com/en/example-headers-and-payloads.html",
    "nexus_asset": "https://help.sonatype.com/en/example-headers-and-payloads.html",
    "aliyun": "https://www.alibabacloud.com/help/doc-detail/60949.htm",
    "cdevents": "https://github.com/cdevents/spec/blob/main/conformance/artifact_published.json https://github.com/package-url/purl-spec",
    "cdevents_in_cloudevents": "https://github.com/cdevents/spec/blob/main/cloudevents-binding.md",
    "generic": "registries/webhooks/generic.py",
}
"""What each payload was written from; the values are ours."""

GITEA = {"x-gitea-event": "package", "x-github-event": "package", "x-gitea-delivery": "9a1e-1", "x-github-delivery": "9a1e-1"}
NEXUS = {"x-nexus-webhook-id": "rm:repository:component", "x-nexus-webhook-delivery": "7f4a-2"}
HARBOR = "harbor.acme.example:8443/acme/edge-agent"
ECR = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/acme/edge-agent"
GOOGLE = "europe-west3-docker.pkg.dev/acme-prod/images/edge-agent"
HOST = "registry.acme.example"


def test_every_payload_says_where_it_was_learned() -> None:
    assert {path.stem for path in PAYLOADS.glob("*.json")} == set(SOURCES)


@pytest.mark.parametrize(
    ("name", "headers", "sender", "images", "delivery"),
    [
        ("docker_hub", {}, "docker-hub", ["acme/edge-agent:1.4.2"], None),
        ("github_package", {**PACKAGE, "x-github-delivery": "72d3-1"}, "github", [f"ghcr.io/acme/edge-agent:v1.4.2@{A}"], "72d3-1"),
        ("github_package", {}, "github", [f"ghcr.io/acme/edge-agent:v1.4.2@{A}"], None),
        ("github_registry_package", {"x-github-event": "registry_package"}, "github", [f"ghcr.io/acme/edge-agent:latest@{B}"], None),
        ("github_registry_package", {}, "github", [f"ghcr.io/acme/edge-agent:latest@{B}"], None),
        ("github_ping", {"x-github-event": "ping", "x-github-delivery": "72d3-0"}, "github", [], "72d3-0"),
        ("quay", {}, "quay", [f"quay.io/acme/edge-agent:{tag}" for tag in ("1.4.2", "1.4", "latest")], None),
        ("quay_build", {}, "quay", [], None),
        ("harbor", {}, "harbor", [f"{HARBOR}:1.4.2@{A}", f"{HARBOR}:latest@{A}"], None),
        ("harbor_scan", {}, "harbor", [], None),
        (
            "harbor_cloudevents",
            {"content-type": "application/cloudevents+json"},
            "harbor",
            [f"{HARBOR}:1.4.2@{A}"],
            "/projects/7/webhook/policies/2 d0c51d9f-6d0c-4a3b-9a51-0f2f4d8f5d11",
        ),
        (
            "gitlab",
            {},
            "distribution",
            [f"registry.gitlab.acme.example/acme/fleet/edge-agent:1.4.2@{A}"],
            "9d2b7c1e-0003-4f3a-8c55-77f0d1c2b3a4",
        ),
        (
            "distribution",
            {"content-type": "application/vnd.docker.distribution.events.v2+json"},
            "distribution",
            [
                f"registry.acme.example:5000/acme/edge-agent:1.4.2@{A}",
                f"registry.acme.example:5000/acme/edge-agent:latest@{A}",
                f"registry.acme.example:5000/acme/tools/probe:main@sha256:{'c' * 64}",
            ],
            None,
        ),
        ("azure", {}, "azure", [f"acmeimages.azurecr.io/acme/edge-agent:1.4.2@{A}"], "b7a1c6f0-2f5e-4d58-8f6f-90c1d2e3f4a5"),
        ("azure_ping", {"user-agent": "AzureContainerRegistry/1.0"}, "azure", [], "e2d3c4b5-a697-4888-b7a6-95c4d3e2f1a0"),
        ("azure_ping", {}, "azure", [], "e2d3c4b5-a697-4888-b7a6-95c4d3e2f1a0"),
        ("ecr", {}, "ecr", [f"{ECR}:1.4.2@{A}"], "5c0f6a3e-8d21-4b9a-a7f4-1e2d3c4b5a69"),
        ("ecr_scan", {}, "ecr", [], "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"),
        (
            "ecr_cloudevents",
            {},
            "ecr",
            [f"{ECR}:1.4.2@{A}"],
            "urn:aws:ecr:eu-central-1:210987654321:repository/acme/edge-agent 5c0f6a3e-8d21-4b9a-a7f4-1e2d3c4b5a69",
        ),
        ("google", {}, "google", [f"{GOOGLE}:1.4.2@{A}"], "13579246801357"),
        ("google_unwrapped", {"x-goog-pubsub-message-id": "13579"}, "google", [f"{GOOGLE}:1.4.2@{A}"], "13579"),
        ("gitea", GITEA, "gitea", ["git.acme.example/acme/edge-agent:1.4.2"], "9a1e-1"),
        (
            "gitea",
            {"x-forgejo-event": "package", "x-forgejo-delivery": "9a1e-1"},
            "gitea",
            ["git.acme.example/acme/edge-agent:1.4.2"],
            "9a1e-1",
        ),
        ("gitea", {}, "gitea", ["git.acme.example/acme/edge-agent:1.4.2"], None),
        ("jfrog", {}, "jfrog", [f"artifacts.acme.example/docker-local/acme/edge-agent:1.4.2@{A}"], None),
        ("jfrog_artifact", {}, "jfrog", [], None),
        ("nexus", NEXUS, "nexus", ["registry.acme.example/acme/edge-agent:1.4.2"], "7f4a-2"),
        ("nexus", {}, "nexus", ["registry.acme.example/acme/edge-agent:1.4.2"], None),
        ("nexus_asset", {**NEXUS, "x-nexus-webhook-id": "rm:repository:asset"}, "nexus", [], "7f4a-2"),
        ("aliyun", {}, "aliyun", [f"registry.acme.example/acme/edge-agent:1.4.2@{A}"], None),
        ("cdevents", {}, "cdevents", [f"ghcr.io/acme/edge-agent:1.4.2@{A}"], "/ci/acme/edge-agent 3f7b9c21-64d8-4a0e-b5f1-2c9d8e7a6b54"),
        (
            "cdevents_in_cloudevents",
            {},
            "cdevents",
            [f"ghcr.io/acme/edge-agent:1.4.2@{A}"],
            "/ci/acme/edge-agent 3f7b9c21-64d8-4a0e-b5f1-2c9d8e7a6b54",
        ),
        ("generic", {}, "generic", [f"ghcr.io/acme/edge-agent:1.4.2@{A}"], None),
        ("generic", {"idempotency-key": "build-812"}, "generic", [f"ghcr.io/acme/edge-agent:1.4.2@{A}"], "build-812"),
    ],
)
def test_a_whole_payload_says_what_was_pushed(
    name: str, headers: Mapping[str, str], sender: str, images: list[str], delivery: str | None
) -> None:
    expected = Received(Sender(sender), tuple(Image.parse(image) for image in images), delivery)

    assert received(payload(name), headers, default_host=HOST) == expected
    assert received(payload(name), headers, Sender(sender), HOST) == expected


def test_an_endpoint_of_gitlab_reads_its_registry() -> None:
    told = received(payload("gitlab"), sender=Sender.GITLAB)

    assert (told.sender, len(told.images)) == (Sender.GITLAB, 1)


@pytest.mark.parametrize("sender", Sender)
@pytest.mark.parametrize("name", SOURCES)
def test_what_somebody_else_sends_is_refused_by_name(name: str, sender: Sender) -> None:
    its = received(payload(name), default_host=HOST).sender if name not in ("github_ping", "nexus_asset") else None
    if its == sender or {its, sender} == {Sender.DISTRIBUTION, Sender.GITLAB}:
        return

    with pytest.raises(BadInput, match=f"^this endpoint is for {sender} .*{f'it looks like {its}' if its else ''}"):
        received(payload(name), sender=sender, default_host=HOST)


def test_gitea_is_known_by_its_own_header_among_those_of_github() -> None:
    with pytest.raises(BadInput, match="it looks like gitea's"):
        received(payload("gitea"), GITEA, Sender.GITHUB)


@pytest.mark.parametrize("key", ["9a1e\x00", "9a1e\n", "9" * 256, ""])
def test_a_name_for_a_delivery_that_cannot_be_kept_is_none(key: str) -> None:
    assert received(payload("generic"), {"idempotency-key": key}).delivery_id is None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("jfrog", "jpd_origin"),
        ("gitea", "package.html_url"),
        ("harbor", "event_data.resources.0.resource_url"),
        ("azure", "request.host"),
        ("distribution", "events.3.request.host"),
        ("nexus", "timestamp"),
        ("aliyun", "repository.region"),
    ],
)
def test_a_sender_that_keeps_its_registry_to_itself_needs_an_endpoint_that_knows_it(name: str, path: str) -> None:
    body = altered(name, path, "")

    with pytest.raises(BadInput, match="is missing, so nobody can tell which registry holds the image; set the endpoint's default host"):
        received(body)
    assert received(body, default_host="other.acme.example:5000").images[0].repository.startswith("other.acme.example:5000/")
    with pytest.raises(BadInput, match="cannot be the registry"):
        received(body, default_host="no host")


def test_a_signature_kept_beside_an_image_is_no_image() -> None:
    cosign = "sha256-" + "a" * 64 + ".sig"

    assert pushed(altered("quay", "updated_tags", [cosign, "1.4.2"])) == ["quay.io/acme/edge-agent:1.4.2"]


# Docker Hub


def test_the_smallest_docker_hub_body_is_enough() -> None:
    body = b'{"repository": {"repo_name": "nginx"}, "push_data": {"tag": "latest"}}'

    assert read({}, body) == Received(Sender.DOCKER_HUB, (Image("docker.io/library/nginx", "latest", None),), None)


def test_docker_hub_speaks_for_docker_hub_only() -> None:
    (image,) = received(altered("docker_hub", "repository.repo_name", "ghcr.io/acme/app")).images

    assert image.repository == "docker.io/ghcr.io/acme/app"


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
    (image,) = received(altered("github_package", f"{VERSION}.package_url", url), PACKAGE).images

    assert (image.repository, image.tag) == (repository, "v1.4.2")


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


# Quay


def test_a_push_without_tags_is_no_push_of_images() -> None:
    assert pushed(altered("quay", "updated_tags", [])) == []


def test_quay_may_run_anywhere() -> None:
    assert (
        pushed(altered("quay", "docker_url", "quay.acme.example:8443/acme/edge-agent"))[0] == "quay.acme.example:8443/acme/edge-agent:1.4.2"
    )


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("docker_url", None, "docker_url cannot be understood"),
        ("docker_url", "", "cannot be the registry"),
        ("docker_url", "acme/edge-agent", "cannot be the registry"),
        ("updated_tags", {"latest": "1"}, "updated_tags cannot be understood"),
        ("updated_tags", ["latest", 7], "updated_tags.1 cannot be understood"),
        ("updated_tags", ["latest", ""], "not a tag"),
        ("updated_tags", ["latest"] * 1001, "updated_tags cannot be understood: list should have at most 1000 items"),
    ],
)
def test_a_quay_body_that_names_no_image_is_refused_by_field(path: str, value: object, why: str) -> None:
    with pytest.raises(BadInput, match=f"^quay.*{why}"):
        pushed(altered("quay", path, value))


# Harbor


@pytest.mark.parametrize(
    "kind", ["PULL_ARTIFACT", "DELETE_ARTIFACT", "SCANNING_FAILED", "QUOTA_EXCEED", "REPLICATION", "TAG_RETENTION", "", None]
)
def test_other_harbor_events_are_no_pushes(kind: str | None) -> None:
    assert pushed(altered("harbor", "type", kind)) == []


@pytest.mark.parametrize("kind", ["harbor.artifact.pulled", "harbor.artifact.deleted", "harbor.scan.completed", "harbor.quota.exceeded"])
def test_other_cloud_events_of_harbor_are_no_pushes(kind: str) -> None:
    assert pushed(altered("harbor_cloudevents", "type", kind)) == []


def test_an_older_harbor_pushes_images() -> None:
    assert pushed(altered("harbor", "type", "pushImage")) == [f"{HARBOR}:1.4.2@{A}", f"{HARBOR}:latest@{A}"]


@pytest.mark.parametrize(
    "url",
    [
        "harbor.acme.example:8443/acme/edge-agent:1.4.2",
        f"https://harbor.acme.example:8443/acme/edge-agent@{A}",
        "harbor.acme.example:8443/",
    ],
)
def test_the_host_of_harbor_stands_in_front_of_its_resources(url: str) -> None:
    assert pushed(altered("harbor", "event_data.resources.0.resource_url", url))[0] == f"{HARBOR}:1.4.2@{A}"


def test_a_harbor_event_without_digest_is_a_push_by_tag() -> None:
    assert pushed(altered("harbor", "event_data.resources.0.digest", ""))[0] == f"{HARBOR}:1.4.2"


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("event_data", None, "event_data cannot be understood"),
        ("event_data.resources", {}, "event_data.resources cannot be understood"),
        ("event_data.resources.1", "latest", "event_data.resources.1 cannot be understood"),
        ("event_data.repository", {}, "event_data.repository.repo_full_name is missing"),
        ("event_data.repository.repo_full_name", "Acme/App", "lower case"),
        ("event_data.resources.0.digest", "sha256:12", "not a digest"),
    ],
)
def test_a_harbor_event_that_names_no_image_is_refused_by_field(path: str, value: object, why: str) -> None:
    with pytest.raises(BadInput, match=f"^harbor.*{why}"):
        pushed(altered("harbor", path, value))


# Azure


@pytest.mark.parametrize("action", ["delete", "quarantine", "chart_push", "chart_delete", "ping", "", None])
def test_other_azure_actions_are_no_pushes(action: str | None) -> None:
    assert pushed(altered("azure", "action", action)) == []


@pytest.mark.parametrize("tag", ["", None])
def test_what_azure_gives_no_tag_is_no_push(tag: str | None) -> None:
    assert pushed(altered("azure", "target.tag", tag)) == []


def test_an_azure_event_without_digest_is_a_push_by_tag() -> None:
    assert pushed(altered("azure", "target.digest", None)) == ["acmeimages.azurecr.io/acme/edge-agent:1.4.2"]


# Amazon


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("detail.result", "FAILURE"),
        ("detail.action-type", "DELETE"),
        ("detail.image-tag", None),
        ("detail.image-tag", ""),
        ("detail.artifact-media-type", "application/vnd.cncf.helm.config.v1+json"),
        ("detail-type", "ECR Pull Through Cache Action"),
        ("detail-type", "AWS API Call via CloudTrail"),
        ("source", "aws.ec2"),
        ("source", 7),
    ],
)
def test_what_else_eventbridge_carries_is_no_push(path: str, value: object) -> None:
    assert pushed(altered("ecr", path, value)) == []


@pytest.mark.parametrize(("path", "value"), [("type", "com.amazon.ecr.image.scan"), ("data.imageTag", ""), ("data.imageTag", None)])
def test_other_cloud_events_of_ecr_are_no_pushes(path: str, value: object) -> None:
    assert pushed(altered("ecr_cloudevents", path, value)) == []


def test_an_index_has_no_kind_of_artifact() -> None:
    assert pushed(altered("ecr", "detail.artifact-media-type", None)) == [f"{ECR}:1.4.2@{A}"]


def test_an_ecr_event_without_digest_is_a_push_by_tag() -> None:
    assert pushed(altered("ecr", "detail.image-digest", "")) == [f"{ECR}:1.4.2"]
    assert pushed(altered("ecr_cloudevents", "data.imageDigest", "")) == [f"{ECR}:1.4.2"]


def test_china_is_a_partition_of_its_own() -> None:
    (image,) = received(altered("ecr", "region", "cn-north-1")).images

    assert image.repository == "210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn/acme/edge-agent"


def test_the_account_of_a_cloud_event_stands_in_its_source_too() -> None:
    assert pushed(altered("ecr_cloudevents", "data.registryId", None)) == [f"{ECR}:1.4.2@{A}"]


@pytest.mark.parametrize("source", ["", "aws.ecr", "urn:aws:s3:eu-central-1:210987654321:x"])
def test_a_cloud_event_that_does_not_say_where_is_refused(source: str) -> None:
    with pytest.raises(BadInput, match=r"^ecr.*source must begin with urn:aws:ecr"):
        pushed(altered("ecr_cloudevents", "source", source))


# Google


def google(**event: object) -> dict[str, Any]:
    """A message with these fields instead of its own."""
    said = {"action": "INSERT", "digest": f"{GOOGLE}@{A}", "tag": f"{GOOGLE}:1.4.2", **event}
    return altered("google", "message.data", base64.b64encode(json.dumps(said).encode()).decode())


@pytest.mark.parametrize("event", [{"action": "DELETE"}, {"action": "DELETE", "digest": None}, {"tag": None}, {"tag": ""}])
def test_google_tells_of_uploads_and_deletions_too(event: dict[str, object]) -> None:
    assert pushed(google(**event)) == []


def test_a_google_message_without_digest_is_a_push_by_tag() -> None:
    assert pushed(google(digest=None)) == [f"{GOOGLE}:1.4.2"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (google(tag="1.4.2"), "tag must be a whole reference"),
        (google(tag=f"{GOOGLE}@{A}"), "tag must be a whole reference"),
        (google(action=None), "action cannot be understood"),
        (google(digest="x@sha256:1"), "not a digest"),
        (altered("google", "message.data", "%%%"), "message.data must be JSON in Base64"),
        (altered("google", "message.data", "é"), "message.data must be JSON in Base64"),
        (altered("google", "message.data", "W10="), "message.data must be a JSON object"),
        (altered("google", "message.data", 7), "message.data cannot be understood"),
        (altered("google", "message.data", ""), "message.data must be JSON in Base64"),
    ],
)
def test_a_google_message_that_names_no_image_is_refused_by_field(body: object, why: str) -> None:
    with pytest.raises(BadInput, match=f"^google.*{why}"):
        pushed(body)


# Gitea and Forgejo


@pytest.mark.parametrize(
    ("path", "value"),
    [("action", "deleted"), ("package.type", "npm"), ("package.version", A)],  # A version that is a digest: one platform's manifest
)
def test_other_packages_of_gitea_are_no_pushes(path: str, value: object) -> None:
    assert pushed(altered("gitea", path, value), GITEA) == []


@pytest.mark.parametrize("event", ["push", "release", "create"])
def test_other_events_of_gitea_are_no_pushes(event: str) -> None:
    headers = {"x-gitea-event": event, "x-github-event": event}

    assert received({"ref": "refs/heads/main"}, headers) == Received(Sender.GITEA, (), None)


def test_a_name_in_gitea_may_have_parts() -> None:
    assert pushed(altered("gitea", "package.name", "tools/probe"), GITEA) == ["git.acme.example/acme/tools/probe:1.4.2"]


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("package", None, "package cannot be understood"),
        ("package.owner", {}, "package.owner.login is missing"),
        ("package.version", "a b", "not a tag"),
    ],
)
def test_a_gitea_package_that_names_no_image_is_refused_by_field(path: str, value: object, why: str) -> None:
    with pytest.raises(BadInput, match=f"^gitea.*{why}"):
        pushed(altered("gitea", path, value), GITEA)


# JFrog


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event_type", "deleted"),
        ("event_type", "promoted"),
        ("domain", "build"),
        ("data.image_type", "helmoci"),
        ("data.tag", ""),
        ("data.tag", None),
        ("data.tag", A),  # one platform's manifest
        ("data.tag", A.replace(":", "__")),
    ],
)
def test_other_events_of_artifactory_are_no_pushes(path: str, value: object) -> None:
    assert pushed(altered("jfrog", path, value)) == []


@pytest.mark.parametrize("digest", [None, "", "sample_checksum"])
def test_an_artifactory_event_without_digest_is_a_push_by_tag(digest: str | None) -> None:
    assert pushed(altered("jfrog", "data.sha256", digest)) == ["artifacts.acme.example/docker-local/acme/edge-agent:1.4.2"]


# Nexus


@pytest.mark.parametrize(
    ("path", "value"),
    [("action", "DELETED"), ("action", "PURGED"), ("component.format", "npm"), ("component.format", None), ("component.version", A)],
)
def test_other_components_of_nexus_are_no_pushes(path: str, value: object) -> None:
    assert pushed(altered("nexus", path, value), NEXUS) == []


def test_a_component_that_changed_is_pushed_again() -> None:
    assert pushed(altered("nexus", "action", "UPDATED"), NEXUS, default_host=HOST) == [f"{HOST}/acme/edge-agent:1.4.2"]


# Alibaba Cloud


def test_an_aliyun_push_without_digest_is_a_push_by_tag() -> None:
    assert pushed(altered("aliyun", "push_data.digest", ""), default_host=HOST) == [f"{HOST}/acme/edge-agent:1.4.2"]


# CDEvents


@pytest.mark.parametrize(
    ("purl", "image"),
    [
        (f"pkg:oci/edge-agent@{A}?repository_url=ghcr.io/acme/edge-agent", f"ghcr.io/acme/edge-agent@{A}"),
        ("pkg:oci/edge-agent?repository_url=ghcr.io/acme&tag=1.4.2", "ghcr.io/acme/edge-agent:1.4.2"),
        (
            "pkg:oci/edge-agent?repository_url=https%3A%2F%2Fghcr.io%2Facme%2Fedge-agent&tag=1.4.2&arch=arm64",
            "ghcr.io/acme/edge-agent:1.4.2",
        ),
        (f"pkg:oci/edge-agent@{A}", f"{HOST}/edge-agent@{A}"),
        ("pkg:docker/acme/edge-agent@1.4.2", "acme/edge-agent:1.4.2"),
        ("pkg:docker/nginx@1.27?repository_url=https://gcr.io", "gcr.io/nginx:1.27"),
    ],
)
def test_a_package_url_names_an_image(purl: str, image: str) -> None:
    assert pushed(altered("cdevents", "subject.id", purl), default_host=HOST) == [image]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("context.type", "dev.cdevents.artifact.packaged.0.2.0"),
        ("context.type", "dev.cdevents.artifact.signed.0.2.0"),
        ("context.type", "dev.cdevents.service.deployed.0.2.0"),
        ("subject.id", "pkg:golang/git.acme.example/acme/app@234fd47e07d1"),
        ("subject.id", f"pkg:oci/edge-agent@{A}?repository_url=ghcr.io/acme/edge-agent&arch=arm64"),
    ],
)
def test_other_cdevents_are_no_pushes(path: str, value: object) -> None:
    assert pushed(altered("cdevents", path, value)) == []


@pytest.mark.parametrize(
    ("purl", "why"),
    [
        ("", "must be a package URL"),
        ("ghcr.io/acme/edge-agent:1.4.2", "must be a package URL"),
        ("pkg:oci", "must be a package URL"),
        ("pkg:oci/" + "a" * 2000, "must be a package URL"),
        ("pkg:oci/edge-agent?repository_url=ghcr.io/acme", "neither a tag nor a digest"),
        (f"pkg:docker/acme/edge-agent@{A}", "names no tag"),  # the id of an image, which is no digest to pull by
        ("pkg:docker/acme/edge-agent", "names no tag"),
        (f"pkg:oci/edge-agent@{A}", "repository_url in subject.id is missing"),
        (None, "subject.id cannot be understood"),
    ],
)
def test_a_package_url_that_names_no_image_is_refused(purl: str | None, why: str) -> None:
    with pytest.raises(BadInput, match=f"^cdevents.*{why}"):
        pushed(altered("cdevents", "subject.id", purl))


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
        (b'{"events": [' + b"[]," * 30_000 + b"[]]}", "at most 50000 brackets and commas"),
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
