"""Quay: a push of one or more tags of a repository. It signs nothing, and names neither digests nor deliveries."""

from typing import Annotated

from pydantic import BaseModel, FailFast, Field

from domain.images import Image
from registries.webhooks.notice import MOST_IMAGES, Notice, located


class _Body(BaseModel):
    docker_url: str
    updated_tags: Annotated[list[str], Field(max_length=MOST_IMAGES), FailFast()] = []


def is_from(notice: Notice) -> bool:
    """Only Quay calls the place to pull from a docker_url."""
    return "docker_url" in notice.body


def images(notice: Notice) -> list[Image]:
    """An image for every tag; builds, scans and mirrors update none."""
    event = _Body.model_validate(notice.body)
    host, path = located(event.docker_url)
    return [Image.at(host, path, tag) for tag in event.updated_tags]
