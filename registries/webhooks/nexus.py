"""Sonatype Nexus: a component of a Docker repository was created or changed. It names neither registry nor digest."""

from pydantic import BaseModel

from domain.images import Image
from registries.webhooks.notice import Notice, is_name


class _Component(BaseModel):
    name: str
    version: str


class _Body(BaseModel):
    component: _Component


def is_from(notice: Notice) -> bool:
    """It names its event in a header; a proxy that dropped it left us the shape."""
    return "x-nexus-webhook-id" in notice.headers or isinstance(notice.body.get("component"), dict)


def images(notice: Notice) -> list[Image]:
    """The image a component of a Docker repository is. Its repository is an address of its own, so its name is in no path."""
    is_new = notice.text("action") in ("CREATED", "UPDATED")
    if not is_new or notice.text("component", "format") != "docker":
        return []
    component = _Body.model_validate(notice.body).component
    if not is_name(component.version):
        return []
    return [Image.at(notice.host(None, "the registry"), component.name, component.version)]


def delivery_id(notice: Notice) -> str | None:
    """Nexus names the event in a header."""
    return notice.headers.get("x-nexus-webhook-delivery")
