"""Anybody with a shell: {"image": "ghcr.io/acme/app", "tag": "1.27", "digest": "sha256:…"}, of which only the image is needed."""

from pydantic import BaseModel

from domain.errors import BadInput
from domain.images import Image, split
from registries.webhooks.notice import Notice


class _Body(BaseModel):
    image: str
    tag: str | None = None
    digest: str | None = None


def is_from(notice: Notice) -> bool:
    """Whatever names an image and is nobody else's."""
    return "image" in notice.body


def images(notice: Notice) -> list[Image]:
    """The image it names; tag and digest may stand in the reference, beside it, or in both places alike."""
    event = _Body.model_validate(notice.body)
    host, _, path = Image.parse(event.image).repository.partition("/")
    _, tag, digest = split(event.image)
    return [Image.at(host, path, _agreed("tag", tag, event.tag), _agreed("digest", digest, event.digest))]


def delivery_id(notice: Notice) -> str | None:
    """The name that HTTP has for it."""
    return notice.headers.get("idempotency-key")


def _agreed(field: str, inside: str | None, beside: str | None) -> str | None:
    if inside is not None and beside is not None and inside != beside:
        raise BadInput(f"{field} and image disagree about the {field}; say it once")
    return inside if beside is None else beside
