"""An operation over HTTP: GET or POST, answered at once or with events."""

from contextlib import ExitStack

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from domain.events import Cursor
from schema.session import Session
from server.auth import address
from server.graphql import answers, asked
from server.graphql.asked import Asked
from server.graphql.callers import Caller
from server.graphql.connections import Transport
from server.graphql.events import Events
from server.graphql.negotiation import EVENTS, GRAPHQL, JSON, Answer
from server.graphql.operations import ALL, Operations
from server.wiring import Wiring

_QUERY = frozenset({OperationType.QUERY})
# What changes something is asked for by POST alone, so that no link and no prefetch does it.
_AT_ONCE = {"GET": _QUERY, "HEAD": _QUERY, "POST": _QUERY | {OperationType.MUTATION}}
_AS_EVENTS = {"GET": _QUERY | {OperationType.SUBSCRIPTION}, "HEAD": _QUERY, "POST": ALL}


async def execute(request: Request, operations: Operations, answer: Answer, caller: Caller, name: str, held: ExitStack) -> ASGIApp:
    """The response to what is asked; raises what answers.refusal tells, Unauthenticated before anything else of the request is read.

    What is held is let go of when the response ends.
    """
    session = await caller.session(name)
    if answer.media is None and not answer.events:
        raise HTTPException(406, f"answers are {GRAPHQL} or {JSON}, and streams {EVENTS}")
    what = await asked.in_body(request) if request.method == "POST" else asked.in_address(request)
    try:
        if answer.media is None:
            return await _events(request, operations, what, session, held)
        return answers.answer(await operations.execute(what, session, _AT_ONCE[request.method]), answer.media, name)
    except InvalidOperationTypeError as other:
        if not (answer.media and answer.events and other.operation_type in _AS_EVENTS[request.method]):
            raise _not_that_way(other.operation_type) from other
    return await _events(request, operations, what, session, held)


async def _events(request: Request, operations: Operations, what: Asked, session: Session, held: ExitStack) -> Events:
    connection = held.enter_context(Wiring.of(request).connections.opened(address(request), Transport.SSE))
    connection.belongs_to(session.ctx.actor)
    session.resumed = _last_event(request)
    begun = await operations.begin(what, session, _AS_EVENTS[request.method])
    return Events(lambda channel: operations.tell(begun, session, channel), connection, session.request_id)


def _last_event(request: Request) -> Cursor | None:
    """Where somebody was cut off who comes again, as the specification of server-sent events has it."""
    last = request.headers.get("last-event-id")
    return Cursor.parse(last) if last else None


def _not_that_way(kind: OperationType) -> HTTPException:
    if kind is OperationType.SUBSCRIPTION:
        return HTTPException(400, f"a subscription is told over WebSocket, or to those who accept {EVENTS}")
    return HTTPException(405, f"a {kind.value} is sent by POST", {"allow": "POST"})
