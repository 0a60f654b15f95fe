"""What senders posted: kept before anything follows from it, listed, and decided anew when an operator asks for that."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.actors import Permission
from domain.audit import Action, Subject, SubjectType
from domain.deliveries import Delivery, DeliveryFilter
from domain.endpoints import Endpoint
from domain.errors import NotFound
from domain.events import Cursor
from domain.ids import DeliveryId, EndpointId
from domain.images import Image, Pattern
from domain.pushes import Decision
from domain.trails import TrailType
from registries.webhooks import Received
from resolvers import replaying
from resolvers.context import Context
from resolvers.trails import Trail
from storage import deliveries, endpoints, events, pushes
from storage.connection import Connection

_ALL = DeliveryFilter()
_LONGEST_HEADER = 200
_KEPT_HEADERS = ("content-type", "user-agent")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery that is kept: from here on nothing of it is lost."""

    id: DeliveryId
    is_new: bool


async def receive(ctx: Context, received: Received, endpoint: Endpoint | None, headers: Mapping[str, str], body: bytes) -> Receipt:
    """Keep a webhook, once however often it is posted, and have what it tells decided. It must tell of an image at least."""
    key = received.delivery_id or f"sha256:{hashlib.sha256(body).hexdigest()}"
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        id_of = None if endpoint is None else endpoint.id
        delivery, is_new = await deliveries.keep(conn, id_of, received.sender, key, _telling(headers), body, now)
        if not is_new and received.delivery_id is None:
            await pushes.heard_again(conn, delivery, now)
        # Also when it is known: nothing is lost when a sender gives the name of a delivery to another.
        await pushes.insert(conn, received.sender, received.images, now, delivery)
        if endpoint is not None:
            await _dismiss(ctx, conn, delivery, endpoint)
    return Receipt(delivery, is_new)


async def replay(ctx: Context, delivery: DeliveryId) -> Delivery:
    """Have everything that a delivery told decided anew, as things are now; raises NotFound."""
    async with ctx.changing(Action.REPLAY_DELIVERY) as change:
        found = await deliveries.one(change.conn, delivery)
        if found is None:
            raise NotFound.of("delivery", delivery)
        await pushes.replay(change.conn, delivery, change.now)
        await events.record(change.conn, TrailType.DELIVERY_REPLAYED, change.now, delivery=delivery)
        if found.endpoint_id is not None:
            await _dismiss(ctx, change.conn, delivery, await endpoints.ever(change.conn, found.endpoint_id))
        change.of(Subject.of(SubjectType.DELIVERY, delivery))
    return found


async def one(ctx: Context, delivery: DeliveryId) -> Delivery | None:
    return (await many(ctx, [delivery])).get(delivery)


async def page(ctx: Context, before: DeliveryId, limit: int, wanted: DeliveryFilter = _ALL) -> list[Delivery]:
    """Deliveries that have something in common, newest first."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await deliveries.page(conn, before, limit, wanted)


async def count(ctx: Context, wanted: DeliveryFilter = _ALL) -> int:
    """How many deliveries have something in common."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await deliveries.count(conn, wanted)


async def stream(ctx: Context, wanted: DeliveryFilter, after: Cursor | None) -> Trail[DeliveryId, Delivery]:
    """What happens to deliveries that have something in common after a cursor; without one, from now on. Raises CursorExpired."""
    ctx.actor.must(Permission.READ)
    return Trail(ctx, await replaying.beginning(ctx, after), wanted, lambda event: event.delivery_id, many)


async def _dismiss(ctx: Context, conn: Connection, delivery: DeliveryId, endpoint: Endpoint) -> None:
    """Images that an endpoint may not speak for are kept, and nothing follows from them."""
    now = await ctx.db.now(conn)
    for push in await pushes.of_delivery(conn, delivery):
        if push.due_at is not None and not _may_speak_for(endpoint, push.image):
            why = f"endpoint {endpoint.id} may not speak for {push.image.name}"
            await pushes.decide(conn, push, Decision(push.image, None, None, False, why), now)
            await pushes.settle(conn, push)


def _may_speak_for(endpoint: Endpoint, image: Image) -> bool:
    return not endpoint.repositories or any(Pattern.parse(text).matches(image) for text in endpoint.repositories)


def _telling(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that say what a webhook is; none of those that prove who sent it."""
    kept = [name for name in headers if name in _KEPT_HEADERS or name.startswith("ce-") or name.endswith(("-event", "-delivery", "-id"))]
    return {name: headers[name].replace("\0", "")[:_LONGEST_HEADER] for name in kept[:50]}


async def many(ctx: Context, ids: Sequence[DeliveryId]) -> dict[DeliveryId, Delivery]:
    """Those of these deliveries that there are."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await deliveries.many(conn, ids)


async def of_endpoints(ctx: Context, ids: Sequence[EndpointId], before: DeliveryId, limit: int) -> dict[EndpointId, list[Delivery]]:
    """What was posted to endpoints, newest first: to each, so many."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await deliveries.of_endpoints(conn, ids, before, limit)


async def count_of_endpoints(ctx: Context, ids: Sequence[EndpointId]) -> dict[EndpointId, int]:
    """How many were posted to each of these endpoints."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await deliveries.count_of_endpoints(conn, ids)
