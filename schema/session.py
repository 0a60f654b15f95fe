"""What a field knows of its caller."""

from dataclasses import dataclass
from typing import Any

import strawberry

from resolvers.context import Context


@dataclass(slots=True)
class Session:
    """One HTTP request, or one WebSocket with all its operations."""

    ctx: Context
    connection_params: dict[str, Any] | None = None


Info = strawberry.Info[Session, None]
