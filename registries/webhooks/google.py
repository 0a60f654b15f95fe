"""Google Artifact Registry: what it publishes to the topic “gcr”, as Pub/Sub pushes it, wrapped or not."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from domain.errors import BadInput
from domain.images import Image, split
from registries.webhooks.notice import Notice, parsed


class _Message(BaseModel):
    data: str | None = None


class _Body(BaseModel):
    message: _Message


class _Event(BaseModel):
    action: str
    tag: str | None = None
    digest: str | None = None


def is_from(notice: Notice) -> bool:
    """Pub/Sub wraps a message; unwrapped, what the registry says begins with an action in capitals."""
    return isinstance(notice.body.get("message"), dict) or notice.body.get("action") in ("INSERT", "DELETE")


def images(notice: Notice) -> list[Image]:
    """The image that got a tag. Every push is told of twice: when it is uploaded, without its tag, and when it is tagged."""
    said = notice.body if "message" not in notice.body else _unwrapped(_Body.model_validate(notice.body).message)
    event = _Event.model_validate(said)
    return [_image(event.tag, event.digest)] if event.action == "INSERT" and event.tag else []


def delivery_id(notice: Notice) -> str | None:
    """The message's, which Pub/Sub may deliver more than once."""
    return notice.text("message", "messageId") or notice.headers.get("x-goog-pubsub-message-id")


def _unwrapped(message: _Message) -> Mapping[str, Any]:
    try:
        said = parsed(b64decode(message.data or "", validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadInput("message.data must be JSON in Base64, as Artifact Registry publishes it") from error
    if not isinstance(said, dict):
        raise BadInput("message.data must be a JSON object, as Artifact Registry publishes it")
    return said


def _image(tagged: str, digested: str | None) -> Image:
    """Both name the whole image: host/project/repository/app:tag, host/project/repository/app@sha256:…"""
    name, tag, _ = split(tagged)
    digest = split(digested)[2] if digested else None
    host, _, path = name.partition("/")
    if tag is None:
        raise BadInput("tag must be a whole reference with a tag, such as europe-docker.pkg.dev/acme/images/app:1.27")
    return Image.at(host, path, tag, digest)
