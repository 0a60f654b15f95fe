"""Docker Hub: one push of one tag. It signs nothing, names no digest, no event and no delivery."""

from pydantic import BaseModel

from domain.images import DOCKER_HUB, Image
from registries.webhooks.notice import Notice


class _Repository(BaseModel):
    repo_name: str


class _PushData(BaseModel):
    tag: str


class _Body(BaseModel):
    repository: _Repository
    push_data: _PushData


def is_from(notice: Notice) -> bool:
    """Only Docker Hub calls a repository by a repo_name."""
    repository = notice.body.get("repository")
    return isinstance(repository, dict) and "repo_name" in repository


def images(notice: Notice) -> list[Image]:
    """The image that was pushed."""
    event = _Body.model_validate(notice.body)
    return [Image.at(DOCKER_HUB, event.repository.repo_name, event.push_data.tag)]
