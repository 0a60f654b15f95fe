"""Docker Hub: one push of one tag. It signs nothing, names no digest and no event."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from domain.images import DOCKER_HUB, Image


class _Repository(BaseModel):
    repo_name: str


class _PushData(BaseModel):
    tag: str


class _Body(BaseModel):
    repository: _Repository
    push_data: _PushData


def is_from(_headers: Mapping[str, str], body: Mapping[str, Any]) -> bool:
    """Only Docker Hub calls a repository by a repo_name."""
    repository = body.get("repository")
    return isinstance(repository, dict) and "repo_name" in repository


def images(_headers: Mapping[str, str], body: Mapping[str, Any]) -> list[Image]:
    """The image that was pushed."""
    event = _Body.model_validate(body)
    return [Image.at(DOCKER_HUB, event.repository.repo_name, event.push_data.tag)]
