"""Trusted documents: operations that were known before the server started, and are asked for by the hash of their text."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import graphql
import orjson
from graphql import GraphQLError
from strawberry.schema.schema import validate_document

from domain.actors import Actor, Permission
from schema.build import RULES, schema
from schema.operations import MOST_TOKENS
from server.graphql.asked import Asked

# Of 2,000 tokens each may have fifty; what is longer belongs into variables.
MOST_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True)
class Documents:
    """What clients may ask for by its id."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """By the SHA-256 of the text, in hexadecimal."""
    only: bool = False
    """Whether those who may not administer can ask for nothing else."""

    @classmethod
    def read(cls, path: Path, *, only: bool) -> Self:
        """The documents of a manifest; raises ValueError for one that cannot be what was meant."""
        try:
            manifest = orjson.loads(path.read_bytes())
        except (OSError, orjson.JSONDecodeError) as bad:
            raise ValueError(f"{path} cannot be read: {bad}") from bad
        return cls(dict(_checked(id_, text) for id_, text in _pairs(manifest)), only)

    def text(self, asked: Asked, actor: Actor) -> str:
        """The text of what is asked; raises GraphQLError where it is not known, or not trusted."""
        if asked.query is None:
            return self._known(_bare(asked.document or ""))
        if len(asked.query) > MOST_CHARACTERS:
            raise _refusal(f"the document has {len(asked.query):,} characters; {MOST_CHARACTERS:,} are the most", "TOO_COMPLEX")
        if asked.document is not None and _bare(asked.document) != _hash(asked.query):
            raise _refusal("the hash is not that of the query", "BAD_USER_INPUT")
        if self.only and not actor.may(Permission.ADMINISTER) and _hash(asked.query) not in self.texts:
            raise _refusal("only documents that this server was started with can be asked for", "DOCUMENT_NOT_TRUSTED")
        return asked.query

    def _known(self, id_: str) -> str:
        if (text := self.texts.get(id_)) is None:
            raise _refusal("this server was started without such a document", "PERSISTED_QUERY_NOT_FOUND")
        return text


def _pairs(manifest: Any) -> list[tuple[Any, Any]]:
    """Ids and texts, of Apollo's manifest or of a flat one such as Relay's compiler writes."""
    match manifest:
        case {"format": "apollo-persisted-query-manifest", "operations": [*operations]}:
            return [(one.get("id"), one.get("body")) if isinstance(one, dict) else (one, None) for one in operations]
        case dict():
            return list(manifest.items())
    raise ValueError("a manifest is an object from hashes to documents")


def _checked(id_: Any, text: Any) -> tuple[str, str]:
    if not isinstance(id_, str) or not isinstance(text, str):
        raise ValueError(f"{str(id_)[:80]}: a document is a text under its hash")
    if _hash(text) != _bare(id_):
        raise ValueError(f"{id_[:80]}: this is not the SHA-256 of its document")
    if errors := _errors(text):
        raise ValueError(f"{id_}: {errors[0].message}")
    return _bare(id_), text


def _errors(text: str) -> list[GraphQLError]:
    """Why nobody could ask this, by the rules for those who may ask most."""
    try:
        return validate_document(schema._schema, graphql.parse(text, max_tokens=MOST_TOKENS), RULES)
    except GraphQLError as bad:
        return [bad]


def _bare(id_: str) -> str:
    """The hash of an id, which may say how it was made."""
    return id_.removeprefix("sha256:").lower()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _refusal(message: str, code: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})
