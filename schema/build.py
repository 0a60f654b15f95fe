"""The schema itself."""

import logging
from collections.abc import Iterable
from functools import partial
from typing import Any

import strawberry
from graphql import ExecutionResult as Result
from graphql import FieldNode, GraphQLError, IntValueNode, StringValueNode, ValidationRule, specified_rules
from graphql.execution import create_source_event_stream
from graphql.validation.validate import ValidationAbortedError
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from domain.actors import Permission
from resolvers.context import AWAY
from schema import lookup
from schema.budget import Budgeted
from schema.costs import cost
from schema.documents import Documents, Rules, cached_documents
from schema.errors import log_ours, translate
from schema.execution import PlainExecutor
from schema.limits import INTROSPECTION, NotTooComplex
from schema.mutations import Mutation
from schema.operations import MOST_TOKENS, Operation
from schema.queries import Query
from schema.results import HANDLERS
from schema.scalars import SCALARS
from schema.session import Session
from schema.subscribed import Subscribed, selection
from schema.subscriptions import Subscription

MOST_DIGITS = 20  # as many as the largest number of 64 bits has
log = logging.getLogger(__name__)


class NoNullCharacters(ValidationRule):
    """PostgreSQL keeps no null characters. In variables the body's parser refuses them; this is for those in the document."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        if "\0" in node.value:
            self.report_error(GraphQLError("a string holds a null character", node))


class NoEndlessNumbers(ValidationRule):
    """Python reads no number of more than 4,300 digits, and fails wherever it first tries to: no other rule is to come so far."""

    def enter_int_value(self, node: IntValueNode, *_: Any) -> None:
        if (digits := len(node.value.lstrip("-"))) > MOST_DIGITS:
            sentence = f"a number has at most {MOST_DIGITS} digits, this one has {digits:,}"
            raise ValidationAbortedError(sentence, node, extensions={"code": "BAD_USER_INPUT"})


# Not too complex, before other rules spend time on it; and no number that they could not read.
RULES: Rules = (NotTooComplex, NoEndlessNumbers, *specified_rules, NoNullCharacters)


class NoIntrospection(ValidationRule):
    """The schema is asked for by those who write documents."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        if node.name.value in INTROSPECTION:
            sentence = "a reader's token may not ask for the schema: an operator's may"
            self.report_error(GraphQLError(sentence, node, extensions={"code": "FORBIDDEN"}))


WITHOUT_INTROSPECTION: Rules = (*RULES, NoIntrospection)


def rules_for(context: ExecutionContext) -> Rules:
    """Whoever may only read is a frontend, whose documents were written by somebody who may do more."""
    return RULES if context.context.ctx.actor.may(Permission.OPERATE) else WITHOUT_INTROSPECTION


class Schema(strawberry.Schema):
    def _create_execution_context(  # Strawberry's own signature
        self,
        query: str | None,
        allowed_operation_types: Iterable[OperationType],
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionContext:
        operation = Operation(
            query=query,
            schema=self,
            allowed_operations=allowed_operation_types,
            context=context_value,
            root_value=root_value,
            variables=variable_values,
            provided_operation_name=operation_name,
            operation_extensions=operation_extensions,
        )
        operation.parse_options = {"max_tokens": MOST_TOKENS}
        return operation

    async def execute(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        # Strawberry would run a subscription that was posted as if it were a query, and fail.
        kwargs["allowed_operation_types"] = set(kwargs.get("allowed_operation_types", OperationType)) - {OperationType.SUBSCRIPTION}
        return translate(await super().execute(*args, **kwargs), kwargs["context_value"].ctx.actor)

    async def subscribed(
        self, query: str, session: Session, variables: dict[str, Any] | None, operation_name: str | None
    ) -> Subscribed | ExecutionResult:
        """What a subscription follows, or why it may not be had."""
        only = frozenset({OperationType.SUBSCRIPTION})
        operation = self._create_execution_context(query, only, variables, session, None, operation_name)
        extensions = self.get_extensions()
        for extension in extensions:
            extension.execution_context = operation
        runner = self.create_extensions_runner(operation, extensions)
        async with runner.operation():
            refused = await self._prepare_operation_async(operation, runner)
        made = refused or await self._followed(operation)
        if isinstance(made, ExecutionResult):
            self.process_errors(made.errors or [], operation)
            return translate(made, session.ctx.actor)
        return made

    async def _followed(self, operation: ExecutionContext) -> Subscribed | ExecutionResult:
        """The source stream of a subscription that is valid and paid for; no more is kept of who asked. Raises AWAY."""
        document = operation.graphql_document
        assert document is not None, "it was validated"
        prepare = partial(
            PlainExecutor.build,
            self._schema,
            document,
            raw_variable_values=operation.variables,
            operation_name=operation.operation_name,
        )
        executor: Any = prepare(context_value=operation.context)
        if isinstance(executor, list):
            return PreExecutionError(None, executor)
        source: Any = create_source_event_stream(executor)
        source = await source if executor.is_awaitable(source) else source
        if isinstance(source, Result):
            _raise_if_away(source.errors or ())
            return PreExecutionError(None, source.errors)
        points = max(1, cost(self._schema, document, operation.operation_name, operation.variables))
        return Subscribed(source, prepare, selection(operation.query or "", executor, operation.variables), points)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        request = getattr(execution_context and execution_context.context, "request_id", "")
        log_ours(errors, request)
        for error in errors:
            if isinstance(error.original_error, AWAY):
                log.warning("the database does not answer: %s (request %s)", error.original_error, request)


def _raise_if_away(errors: Iterable[GraphQLError]) -> None:
    """Raise what kept the database from answering. Told as an error it would end a subscription for good: clients come again only where
    the connection ends."""
    for error in errors:
        if isinstance(error.original_error, AWAY):
            raise error.original_error


def _schema(*, is_sorted: bool = False) -> Schema:
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=lookup.TYPES,
        extensions=[cached_documents(rules_for, Documents()), Budgeted],
        execution_context_class=PlainExecutor,
        exception_handlers=HANDLERS,
        config=StrawberryConfig(sort_schema=is_sorted, scalar_map=SCALARS),
    )


schema = _schema()


def printed() -> str:
    """The schema in GraphQL's own language, by name. Of one that Strawberry has sorted it executes no unions: their types are copies."""
    return _schema(is_sorted=True).as_str()
