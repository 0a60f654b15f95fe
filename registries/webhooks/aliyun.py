"""Alibaba Cloud Container Registry: one push of one tag. It signs nothing, and names neither registry nor delivery."""

from pydantic import BaseModel

from domain.images import Image
from registries.webhooks.notice import Notice


class _Repository(BaseModel):
    repo_full_name: str


class _PushData(BaseModel):
    tag: str
    digest: str | None = None


class _Body(BaseModel):
    repository: _Repository
    push_data: _PushData


def is_from(notice: Notice) -> bool:
    """Like Docker Hub's, but for the name of the repository."""
    repository = notice.body.get("repository")
    return isinstance(repository, dict) and "repo_full_name" in repository and "push_data" in notice.body


def images(notice: Notice) -> list[Image]:
    """The image that was pushed. A region has many registries (one for each instance), so it does not tell which."""
    event = _Body.model_validate(notice.body)
    host = notice.host(None, "the registry")
    return [Image.at(host, event.repository.repo_full_name, event.push_data.tag, event.push_data.digest or None)]
