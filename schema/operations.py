"""One operation as it is executed: which of its document's it is, and how long a document may be."""

from graphql import OperationDefinitionNode
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType

# The longest that makes sense, everything that is known of everything, has 924; what GraphiQL asks of the schema has 184.
MOST_TOKENS = 2000


class Operation(ExecutionContext):
    """Where Strawberry would take the first of several operations, this refuses to guess, as the specification wants it."""

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
