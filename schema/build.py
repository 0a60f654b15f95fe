"""The schema itself."""

import logging

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxTokensLimiter
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from schema.errors import Errors, is_ours
from schema.mutations import Mutation
from schema.queries import Query
from schema.subscriptions import Subscription

log = logging.getLogger(__name__)


class _Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        # Only our own mistakes are worth a line: a client that sends nonsense would otherwise fill the log.
        for error in errors:
            if is_ours(error):
                log.error("%s", error.message, exc_info=error.original_error)


schema = _Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    extensions=[Errors, lambda: MaxTokensLimiter(2000)],
    config=StrawberryConfig(sort_schema=True),
)
