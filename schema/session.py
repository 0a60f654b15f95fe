"""What a field knows of its caller, and how it reads what is nested."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

from domain.events import Cursor
from resolvers.budget import Budget
from resolvers.context import Context
from resolvers.fleet import now

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
P = ParamSpec("P")


@dataclass(slots=True)
class Session:
    """One operation."""

    ctx: Context
    budget: Budget | None = None
    """What the caller may spend; None: nobody counts."""
    resumed: Cursor | None = None
    """Where somebody was cut off who comes again; it goes before what his document says."""
    cursor: Cursor = field(init=False)
    """What happened up to here is in all that the operation reads: from here on it can be followed without a gap."""
    _loaders: dict[Hashable, DataLoader[Any, Any]] = field(default_factory=dict)
    _now: asyncio.Future[datetime] | None = None

    def __post_init__(self) -> None:
        self.cursor = self.ctx.feed.position

    @property
    def request_id(self) -> str:
        """What lines in the log name it by."""
        return self.ctx.request_id or ""

    async def load(
        self,
        many: Callable[Concatenate[Context, Sequence[Key], P], Awaitable[Mapping[Key, Value]]],
        key: Key,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Value | None:
        """What `many` answers for this key: asked once for all the fields of a list, so that a list of a hundred costs what one does."""
        asked = (many, args, tuple(kwargs.items()))
        if (loader := self._loaders.get(asked)) is None:

            async def read(keys: list[Key]) -> list[Value | None]:
                found = await many(self.ctx, keys, *args, **kwargs)
                return [found.get(key) for key in keys]

            loader = self._loaders[asked] = DataLoader(load_fn=read)
        found: Value | None = await loader.load(key)
        return found

    async def follow(self, many: Callable[[Context, Sequence[Key]], Awaitable[Mapping[Key, Value]]], key: Key | None) -> Value | None:
        """What a reference leads to; None if it leads nowhere."""
        return None if key is None else await self.load(many, key)

    async def now(self) -> datetime:
        """The database's clock, read once."""
        if self._now is None:
            self._now = asyncio.ensure_future(now(self.ctx))
        return await self._now

    def after(self, given: str | None) -> Cursor | None:
        """From where on somebody wants to follow something; None where he does not say. Raises BadInput for what is no cursor."""
        return self.resumed or (None if given is None else Cursor.parse(given))


Info = strawberry.Info[Session, None]
