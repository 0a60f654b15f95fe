"""Executing what is asked, for every transport alike."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from graphql import GraphQLError
from strawberry import Schema
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from schema.budget import charge
from schema.build import schema
from schema.errors import shown, translate
from schema.session import Session
from server.graphql.asked import Asked
from server.graphql.documents import Documents

Results = AsyncGenerator[ExecutionResult, None]
ALL = frozenset(OperationType)


class Operations:
    """What there is to execute, of the documents that may be asked for."""

    def __init__(self, documents: Documents, schema: Schema = schema) -> None:
        self._documents = documents
        self._schema = schema

    async def execute(self, asked: Asked, session: Session, allowed: Iterable[OperationType]) -> ExecutionResult:
        """One answer; raises InvalidOperationTypeError for an operation that may not be asked for that way."""
        try:
            return await self._schema.execute(
                self._documents.text(asked, session.ctx.actor),
                variable_values=asked.variables,
                context_value=session,
                operation_name=asked.operation,
                allowed_operation_types=allowed,
                operation_extensions=asked.extensions,
            )
        except GraphQLError as refused:
            return _refused(refused)
        except CannotGetOperationTypeError as unclear:
            return _refused(GraphQLError(_which(unclear.operation_name)))

    async def stream(self, asked: Asked, session: Session, allowed: Iterable[OperationType] = ALL) -> Results:
        """All there is to say, of a query or a mutation once; what is refused before it begins is one PreExecutionError."""
        try:
            text = self._documents.text(asked, session.ctx.actor)
        except GraphQLError as refused:
            return _only(_refused(refused))
        results: Results = await self._schema.stream(  # type: ignore[assignment]  # nothing is delivered in parts
            text,
            variable_values=asked.variables,
            context_value=session,
            operation_name=asked.operation,
            allowed_operation_types=allowed,
            operation_extensions=asked.extensions,
        )
        return _anew(results, session)


def _which(name: str | None) -> str:
    return (
        "of several operations one is to be named: give operationName" if name is None else f"the document has no operation “{name[:64]}”"
    )


def _refused(error: GraphQLError) -> PreExecutionError:
    return PreExecutionError(None, [shown(error)])


async def _anew(results: Results, session: Session) -> Results:
    """The results, each of which is read anew and paid for: what the fields of one event read is not what those of the next do.

    The first was paid for before the operation began, and says how much.
    """
    async with aclosing(results):
        points = 0
        async for result in results:
            try:
                charge(session, points)
            except GraphQLError as limited:
                yield _refused(limited)
                return
            yield translate(result, session.ctx.actor)
            points = points or (result.extensions or {}).get("cost", {}).get("requested", 0)
            session.forget()


async def _only(result: ExecutionResult) -> Results:
    yield result
