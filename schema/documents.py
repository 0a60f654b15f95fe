"""Documents that were parsed and found valid once are not parsed and validated again.

Of a small query that was nine tenths of the work. Strawberry's own caches would do, but that theirs of parsing ends a subscription with a
syntax error in silence, and theirs of validation hashes the whole document each time.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from graphql import ASTValidationRule, DocumentNode, GraphQLError, GraphQLSchema, validate
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext

# Nobody reads more, and each quotes the document.
MOST_ERRORS = 10

Rules = tuple[type[ASTValidationRule], ...]
"""What a document is measured by: classes that are made once, since by them it is remembered that it passed.

They may look at the document and at the schema, never at variables or at the caller.
"""


@dataclass(slots=True)
class Known:
    """A document, and by which rules of which schema it is valid."""

    document: DocumentNode
    passed: set[tuple[GraphQLSchema, Rules]] = field(default_factory=set)


class Documents:
    """The documents that were used last: so many at most, and of so many characters together."""

    def __init__(self, number: int = 1_000, characters: int = 256 * 1024) -> None:
        # A parsed document takes some 120 bytes a character: 30 MB, if strangers fill this with whatever they like.
        self._number = number
        self._characters = characters
        self._held = 0
        self._known: OrderedDict[str, Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, text: str) -> Known | None:
        """What is known of this text."""
        known = self._known.get(text)
        if known is not None:
            self._known.move_to_end(text)
        return known

    def keep(self, text: str, known: Known) -> None:
        """Remember this one, and forget those that were not asked for the longest; one that takes a tenth of the room is not kept."""
        if not text or text in self._known or len(text) > self._characters // 10:
            return
        self._known[text] = known
        self._held += len(text)
        while len(self._known) > self._number or self._held > self._characters:
            self._held -= len(self._known.popitem(last=False)[0])


def cached_documents(rules_for: Callable[[ExecutionContext], Rules], documents: Documents) -> Callable[[], SchemaExtension]:
    """What to give to a schema's `extensions`; `rules_for` says by which rules the document of an operation is measured."""
    return lambda: _CachedDocuments(rules_for, documents)


class _CachedDocuments(SchemaExtension):
    def __init__(self, rules_for: Callable[[ExecutionContext], Rules], documents: Documents) -> None:
        self._rules_for = rules_for
        self._documents = documents
        self._known: Known | None = None

    def on_parse(self) -> Iterator[None]:
        """Spare Strawberry the parsing; where it has to, it also says what is wrong, on every transport as it should."""
        context = self.execution_context
        self._known = self._documents.get(context.query) if context.query and context.graphql_document is None else None
        if self._known is not None:
            context.graphql_document = self._known.document
        yield

    def on_validate(self) -> Iterator[None]:
        """Validate what has not passed these rules before. What fails is not remembered: its errors are large, and it may be anything."""
        context = self.execution_context
        if context.pre_execution_errors is None and context.graphql_document is not None:
            known = self._known or Known(context.graphql_document)
            context.pre_execution_errors = self._errors(known, (context.schema._schema, self._rules_for(context)))
        yield

    def _errors(self, known: Known, measure: tuple[GraphQLSchema, Rules]) -> list[GraphQLError]:
        if measure in known.passed:
            return []
        errors = validate(measure[0], known.document, measure[1], max_errors=MOST_ERRORS)
        if not errors:
            known.passed.add(measure)
            self._documents.keep(self.execution_context.query or "", known)
        return errors
