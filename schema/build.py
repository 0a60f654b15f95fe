"""The schema itself."""

import logging
from typing import Any

from graphql import GraphQLError, StringValueNode, ValidationRule
from strawberry.extensions import AddValidationRules, MaxTokensLimiter
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.graphql import OperationType

from schema.errors import Errors, is_ours
from schema.mutations import Mutation
from schema.queries import Query
from schema.subscriptions import Subscription
from schema.unambiguous import Unambiguous

log = logging.getLogger(__name__)


class _NoNullCharacters(ValidationRule):
    """PostgreSQL keeps no null characters. In variables the body's parser refuses them; this is for those in the document."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        if "\0" in node.value:
            self.report_error(GraphQLError("a string holds a null character", node))


class _Schema(Unambiguous):
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
