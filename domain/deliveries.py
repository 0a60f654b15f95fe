"""What a sender posted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.ids import DeliveryId, EndpointId


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook that told of pushes, kept as it came; one that was posted several times is one."""

    id: DeliveryId
    endpoint_id: EndpointId | None
    """None for the address that all senders share."""
    sender: str
    key: str
    """The sender's own id for it, or a hash of the body."""
    headers: dict[str, Any]
    """Those that tell what it is; none that prove who sent it."""
    body: bytes
    received_at: datetime
    last_at: datetime
    times: int
    """How often it was posted."""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """What deliveries must have in common; None asks nothing."""

    endpoint: EndpointId | None = None
    sender: str | None = None
    since: datetime | None = None
    """Received then or later."""

    def matches(self, delivery: Delivery) -> bool:
        """Whether a delivery is meant, as `storage/deliveries.py` asks it."""
        return (
            self.endpoint in (None, delivery.endpoint_id)
            and self.sender in (None, delivery.sender)
            and (self.since is None or self.since <= delivery.received_at)
        )
