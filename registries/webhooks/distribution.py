"""CNCF Distribution, and what is built on it (GitLab): an envelope of events, most of which are not pushes of an image."""

from typing import Annotated

from pydantic import BaseModel, FailFast, Field

from domain.errors import BadInput
from domain.images import Image
from registries.webhooks.notice import MOST_IMAGES, Notice

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


class Event(BaseModel):
    """What happened to one manifest or layer. Azure sends such events one by one."""

    id: str | None = None
    action: str
    target: _Target = _Target()
    request: _Request | None = None

    @property
    def is_push(self) -> bool:
        """Layers are pushed too, and a manifest that only an index refers to has no tag."""
        kind = (self.target.media_type or "").partition(";")[0].strip()
        return self.action == "push" and bool(self.target.tag) and (not kind or kind in _MANIFESTS)

    def image(self, notice: Notice) -> Image:
        """The image of a push."""
        host = notice.host(self.request.host if self.request else None, "request.host")
        if not self.target.repository:
            raise BadInput("target.repository is missing")
        return Image.at(host, self.target.repository, self.target.tag, self.target.digest or None)


class _Body(BaseModel):
    events: Annotated[list[Event], Field(max_length=MOST_IMAGES), FailFast()]


def is_from(notice: Notice) -> bool:
    """Only these send envelopes."""
    return "events" in notice.body


def images(notice: Notice) -> list[Image]:
    """The images that were pushed with a tag."""
    return [event.image(notice) for event in _pushes(notice)]


def delivery_id(notice: Notice) -> str | None:
    """An envelope has no id, and may come again with other events in it; the event of its one image has."""
    pushes = _pushes(notice)
    return pushes[0].id if len(pushes) == 1 else None


def _pushes(notice: Notice) -> list[Event]:
    return [event for event in _Body.model_validate(notice.body).events if event.is_push]
