"""The schema itself."""

import logging
from collections.abc import Iterable
from typing import Any

import strawberry
from graphql import GraphQLError, StringValueNode, ValidationRule
from strawberry.extensions import AddValidationRules, MaxTokensLimiter
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.graphql import OperationType

from schema.errors import Errors, is_ours
from schema.mutations import Mutation
from schema.queries import Query
from schema.subscriptions import Subscription

log = logging.getLogger(__name__)


class _NoNullCharacters(ValidationRule):
    """PostgreSQL keeps no null characters. In variables the body's parser refuses them; this is for those in the document."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        if "\0" in node.value:
            self.report_error(GraphQLError("a string holds a null character", node))


class _Operation(ExecutionContext):
    @property
    def operation_name(self) -> str | None:
        # Strawberry would take the first of several operations; graphql-core refuses to guess, as the specification wants it.
        return self._provided_operation_name


class _Schema(strawberry.Schema):
    def _create_execution_context(  # as Strawberry has it
        self,
        query: str | None,
        allowed_operation_types: Iterable[OperationType],
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionContext:
        return _Operation(
            query=query,
            schema=self,
            allowed_operations=allowed_operation_types,
            context=context_value,
            root_value=root_value,
            variables=variable_values,
            provided_operation_name=operation_name,
            operation_extensions=operation_extensions,
        )

    async def execute(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        # Strawberry would run a subscription that was posted as if it were a query, and fail.
        kwargs["allowed_operation_types"] = set(kwargs.get("allowed_operation_types", OperationType)) - {OperationType.SUBSCRIPTION}
        return await super().execute(*args, **kwargs)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        # Only our own mistakes are worth a line: a client that sends nonsense would otherwise fill the log.
        request = getattr(execution_context and execution_context.context, "request_id", "")
        for error in errors:
            if is_ours(error):
                log.error("%s (request %s)", error.message, request, exc_info=error.original_error)


schema = _Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    extensions=[Errors, lambda: MaxTokensLimiter(2000), lambda: AddValidationRules([_NoNullCharacters])],
    config=StrawberryConfig(sort_schema=True),
)
