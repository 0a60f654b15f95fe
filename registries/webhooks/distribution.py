"""CNCF Distribution, and what is built on it (GitLab): an envelope of events, most of which are not pushes of an image."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from domain.errors import BadInput
from domain.images import Image

_MANIFESTS = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
}


class _Target(BaseModel):
    media_type: str | None = Field(default=None, alias="mediaType")
    repository: str | None = None
    tag: str | None = None
    digest: str | None = None


class _Request(BaseModel):
    host: str | None = None


class _Event(BaseModel):
    action: str
    target: _Target = _Target()
    request: _Request | None = None


class _Body(BaseModel):
    events: list[_Event]


def is_from(_headers: Mapping[str, str], body: Mapping[str, Any]) -> bool:
    """Only this one sends envelopes."""
    return "events" in body


def images(_headers: Mapping[str, str], body: Mapping[str, Any]) -> list[Image]:
    """The images that were pushed with a tag."""
    return [_image(event) for event in _Body.model_validate(body).events if _is_push(event)]


def _is_push(event: _Event) -> bool:
    """Layers are pushed too, and a manifest that only an index refers to has no tag."""
    kind = (event.target.media_type or "").partition(";")[0].strip()
    return event.action == "push" and bool(event.target.tag) and (not kind or kind in _MANIFESTS)


def _image(event: _Event) -> Image:
    if event.request is None or not event.request.host:
        raise BadInput("request.host is missing, so nobody can tell which registry holds the image")
    if not event.target.repository:
        raise BadInput("target.repository is missing")
    return Image.at(event.request.host, event.target.repository, event.target.tag, event.target.digest or None)
