"""Executing what is asked, for every transport alike."""

from collections.abc import Iterable

from graphql import GraphQLError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from schema.budget import charge, reading
from schema.build import Schema, schema
from schema.errors import shown
from schema.session import Session
from schema.subscribed import Subscribed
from server.graphql.answers import told
from server.graphql.asked import Asked
from server.graphql.channels import Channel
from server.graphql.documents import Documents
from server.graphql.groups import Groups

ALL = frozenset(OperationType)


class Operations:
    """What there is to execute, of the documents that may be asked for; and those who follow something."""

    def __init__(self, documents: Documents, schema: Schema = schema) -> None:
        self.groups = Groups()
        self._documents = documents
        self._schema = schema

    async def execute(self, asked: Asked, session: Session, allowed: Iterable[OperationType]) -> ExecutionResult:
        """One answer; raises InvalidOperationTypeError for an operation that may not be asked for that way."""
        try:
            text = self._documents.text(asked, session.ctx.actor)
            if asked.query is not None:
                charge(session, reading(text))
            return await self._schema.execute(
                text,
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

    async def begin(self, asked: Asked, session: Session, allowed: Iterable[OperationType] = ALL) -> Subscribed | ExecutionResult:
        """One answer, or what a subscription follows. Raises InvalidOperationTypeError likewise."""
        try:
            return await self.execute(asked, session, allowed)
        except InvalidOperationTypeError as other:
            if other.operation_type is not OperationType.SUBSCRIPTION or OperationType.SUBSCRIPTION not in allowed:
                raise
        text = self._documents.text(asked, session.ctx.actor)
        return await self._schema.subscribed(text, session, asked.variables, asked.operation)

    async def tell(self, begun: Subscribed | ExecutionResult, session: Session, channel: Channel) -> None:
        """Tell what was answered, or what is followed until all is said; raises what else ends it."""
        if isinstance(begun, Subscribed):
            await self.groups.tell(begun, session, channel)
        else:
            await channel.say(told(begun, session.request_id))


def _which(name: str | None) -> str:
    return (
        "of several operations one is to be named: give operationName" if name is None else f"the document has no operation “{name[:64]}”"
    )


def _refused(error: GraphQLError) -> PreExecutionError:
    return PreExecutionError(None, [shown(error)])
