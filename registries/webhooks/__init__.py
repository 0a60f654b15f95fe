"""What registries tell us when an image was pushed: one table of senders, one module for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from domain.endpoints import Sender
from domain.errors import BadInput
from domain.images import Image
from registries.webhooks import (
    aliyun,
    azure,
    cdevents,
    distribution,
    docker_hub,
    ecr,
    generic,
    gitea,
    github,
    google,
    harbor,
    jfrog,
    nexus,
    quay,
)
from registries.webhooks.notice import Notice, parsed
from registries.webhooks.proofs import is_authentic, is_authentic_for_any, schemes

__all__ = ["NAMES_NO_REGISTRY", "Received", "is_authentic", "is_authentic_for_any", "read", "schemes"]

NAMES_NO_REGISTRY = (Sender.NEXUS, Sender.ALIYUN)
"""Senders whose webhooks never say which registry they come from."""
_LONGEST_ID = 255


@dataclass(frozen=True, slots=True)
class Received:
    """What a webhook told."""

    sender: Sender
    images: tuple[Image, ...]
    """Each once, in order; none when it tells of something that is no push."""
    delivery_id: str | None
    """The sender's own name for this delivery, if it has one."""


def _none(_notice: Notice) -> None:
    """The id of a delivery whose sender gives none."""


@dataclass(frozen=True, slots=True)
class _Row:
    """Somebody who tells us of pushes, which fields say so, and how to know and understand them."""

    sender: Sender
    fields: str
    is_from: Callable[[Notice], bool]
    images: Callable[[Notice], list[Image]]
    delivery_id: Callable[[Notice], str | None] = _none


_ENVELOPE = "events[] with request.host, target.repository and target.tag"

# The first that recognises a webhook reads it: Gitea also sends GitHub's headers, GitLab's registry is CNCF Distribution, and whoever names
# an image and is nobody else is generic.
_SENDERS = (
    _Row(Sender.GITEA, "package.owner, package.name and package.version", gitea.is_from, gitea.images, gitea.delivery_id),
    _Row(Sender.GITHUB, "package.namespace, package.name and container_metadata.tag", github.is_from, github.images, github.delivery_id),
    _Row(Sender.DOCKER_HUB, "repository.repo_name and push_data.tag", docker_hub.is_from, docker_hub.images),
    _Row(Sender.ALIYUN, "repository.repo_full_name, push_data.tag and push_data.digest", aliyun.is_from, aliyun.images),
    _Row(Sender.QUAY, "docker_url and updated_tags[]", quay.is_from, quay.images),
    _Row(Sender.HARBOR, "type, event_data.repository and event_data.resources[]", harbor.is_from, harbor.images, harbor.delivery_id),
    _Row(Sender.DISTRIBUTION, _ENVELOPE, distribution.is_from, distribution.images, distribution.delivery_id),
    _Row(Sender.GITLAB, _ENVELOPE, distribution.is_from, distribution.images, distribution.delivery_id),
    _Row(Sender.AZURE, "action, request.host and target", azure.is_from, azure.images, azure.delivery_id),
    _Row(Sender.ECR, "account, region and detail", ecr.is_from, ecr.images, ecr.delivery_id),
    _Row(Sender.GOOGLE, "message.data with action and tag", google.is_from, google.images, google.delivery_id),
    _Row(Sender.JFROG, "jpd_origin, data.repo_key, data.image_name and data.tag", jfrog.is_from, jfrog.images),
    _Row(Sender.NEXUS, "action, component.name and component.version", nexus.is_from, nexus.images, nexus.delivery_id),
    _Row(Sender.CDEVENTS, "context.type and subject.id", cdevents.is_from, cdevents.images, cdevents.delivery_id),
    _Row(Sender.GENERIC, "image, tag and digest", generic.is_from, generic.images, generic.delivery_id),
)
_BY_SENDER = {row.sender: row for row in _SENDERS}


def read(headers: Mapping[str, str], body: bytes, *, sender: Sender | None = None, default_host: str | None = None) -> Received:
    """What a webhook tells of pushes, from a sender or whoever it looks like; header names are lower case. Raises nothing but BadInput."""
    notice = Notice(headers, _object(body), default_host)
    row = _recognised(notice) if sender is None else _expected(sender, notice)
    try:
        images, delivery_id = row.images(notice), row.delivery_id(notice)
    except ValidationError as error:
        raise BadInput(f"{row.sender}: {_sentence(error)}") from error
    except BadInput as bad:
        raise BadInput(f"{row.sender} ({row.fields}): {bad}") from bad
    return Received(row.sender, tuple(dict.fromkeys(image for image in images if not image.is_attachment)), _usable(delivery_id))


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        said = parsed(body)
    except ValueError as error:
        raise BadInput(f"the body is not JSON ({error}); a webhook's content type must be application/json") from error
    if not isinstance(said, dict):
        raise BadInput("the body is JSON but not an object; every sender we know sends one in { }")
    return said


def _looks_like(notice: Notice) -> _Row | None:
    return next((row for row in _SENDERS if row.is_from(notice)), None)


def _recognised(notice: Notice) -> _Row:
    row = _looks_like(notice)
    if row is None:
        expected = "; ".join(f"{row.sender} ({row.fields})" for row in _SENDERS)
        raise BadInput(f"nobody we know sends a body like this; expected one of: {expected}")
    return row


def _expected(sender: Sender, notice: Notice) -> _Row:
    """The sender the address is for, unless somebody else seems to have been given it."""
    row = _BY_SENDER[sender]
    if row.is_from(notice):
        return row
    other = _looks_like(notice)
    found = f"; it looks like {other.sender}'s, which needs an endpoint of its own" if other else ""
    raise BadInput(f"this endpoint is for {sender} ({row.fields}), and the body is nothing it sends{found}")


def _usable(delivery_id: str | None) -> str | None:
    """A stranger's id, if it can be kept and shown."""
    return delivery_id if delivery_id and len(delivery_id) <= _LONGEST_ID and delivery_id.isprintable() else None


def _sentence(error: ValidationError) -> str:
    """The first thing wrong, which field it is in, and none of the value."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(map(str, problem["loc"]))
    if problem["type"] == "missing":
        return f"{field} is missing"
    return f"{field} cannot be understood: {problem['msg'][0].lower()}{problem['msg'][1:]}"
