"""Harbor: artifacts that were pushed to a project, in its own format or as a CloudEvent."""

from typing import Annotated

from pydantic import BaseModel, FailFast, Field

from domain.images import Image
from registries.webhooks.notice import MOST_IMAGES, Notice, host_of, is_name

_PUSHES = ("PUSH_ARTIFACT", "pushImage", "harbor.artifact.pushed")


class _Resource(BaseModel):
    tag: str | None = None
    digest: str | None = None
    resource_url: str | None = None


class _Repository(BaseModel):
    repo_full_name: str


class _Event(BaseModel):
    resources: Annotated[list[_Resource], Field(max_length=MOST_IMAGES), FailFast()]
    repository: _Repository


class _Body(BaseModel):
    event_data: _Event


class _CloudEvent(BaseModel):
    data: _Event


def is_from(notice: Notice) -> bool:
    """Its own format has event_data, or at least occur_at; its CloudEvents are of types of its own."""
    return "event_data" in notice.body or "occur_at" in notice.body or _is_cloud_event(notice)


def images(notice: Notice) -> list[Image]:
    """An image for every tag that was pushed. The host stands in front of the repository in the resource's URL only."""
    if notice.text("type") not in _PUSHES:
        return []
    event = _CloudEvent.model_validate(notice.body).data if _is_cloud_event(notice) else _Body.model_validate(notice.body).event_data
    return [_image(notice, event.repository.repo_full_name, resource) for resource in event.resources if is_name(resource.tag)]


def delivery_id(notice: Notice) -> str | None:
    """Its own format has none."""
    return notice.cloud_event_id() if _is_cloud_event(notice) else None


def _is_cloud_event(notice: Notice) -> bool:
    return (notice.text("type") or "").startswith("harbor.")


def _image(notice: Notice, repository: str, resource: _Resource) -> Image:
    host = notice.host(host_of(resource.resource_url), "resource_url")
    return Image.at(host, repository, resource.tag, resource.digest or None)
