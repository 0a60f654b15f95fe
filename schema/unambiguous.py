"""Which of a document's operations is meant."""

from collections.abc import Iterable
from typing import Any

import strawberry
from graphql import OperationDefinitionNode
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType


class _Operation(ExecutionContext):
    @property
    def operation_name(self) -> str | None:
        """The name that was given, or that of the one operation there is."""
        return None if self._is_ambiguous else super().operation_name

    @property
    def operation_type(self) -> OperationType:
        if self._is_ambiguous:
            raise RuntimeError("several operations, and no name")  # of which Strawberry makes a refusal
        return super().operation_type

    @property
    def _is_ambiguous(self) -> bool:
        definitions = self.graphql_document.definitions if self.graphql_document else ()
        return self._provided_operation_name is None and sum(isinstance(node, OperationDefinitionNode) for node in definitions) > 1


class Unambiguous(strawberry.Schema):
    """Where Strawberry would take the first of several operations, this refuses to guess, as the specification wants it."""

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
