"""Events that lead to something which is kept elsewhere, and is read there by whoever may: webhooks, and who changed what."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from domain.events import Cursor

Thing = TypeVar("Thing", covariant=True)


class TrailType(StrEnum):
    """What can happen to what is kept. No EventType: these are not among the events that everybody reads, and say nothing themselves."""

    DELIVERY_RECEIVED = "delivery.received"
    DELIVERY_WAITING = "delivery.waiting"
    DELIVERY_DECIDED = "delivery.decided"
    DELIVERY_REPLAYED = "delivery.replayed"
    AUDIT_RECORDED = "audit.recorded"


@dataclass(frozen=True, slots=True)
class Trace(Generic[Thing]):
    """That something happened to a thing, and the thing as it is by now."""

    cursor: Cursor
    at: datetime
    of: Thing
