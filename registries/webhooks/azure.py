"""Azure Container Registry: one event of CNCF Distribution at a time, with a test of its own."""

from domain.images import Image
from registries.webhooks.distribution import Event
from registries.webhooks.notice import Notice


def is_from(notice: Notice) -> bool:
    """It names itself in a header; a proxy that dropped it left us the shape, which a test (ping) has only in part."""
    body = notice.body
    is_event = "action" in body and ("target" in body or (body["action"] == "ping" and "timestamp" in body))
    return notice.headers.get("user-agent", "").lower().startswith("azurecontainerregistry") or is_event


def images(notice: Notice) -> list[Image]:
    """The image that was pushed with a tag. Charts, quarantine, deletions and tests are actions of their own."""
    if notice.text("action") != "push":
        return []
    event = Event.model_validate(notice.body)
    return [event.image(notice)] if event.is_push else []


def delivery_id(notice: Notice) -> str | None:
    """The event's."""
    return notice.text("id")
