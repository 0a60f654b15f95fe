"""Values that are more than a string, each with the page that specifies it."""

from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.schema.types.base_scalars import DateTimeDefinition, isoformat

from resolvers.devices import canonical

UUID = NewType("UUID", str)
Digest = NewType("Digest", str)
ImageReference = NewType("ImageReference", str)


def _uuid(given: Any) -> str:
    uuid = canonical(given) if isinstance(given, str) else None
    if uuid is None:
        raise GraphQLError("a UUID is 32 hexadecimal digits, with four hyphens or none")
    return uuid


def _moment(given: Any) -> datetime:
    moment: datetime = DateTimeDefinition.parse_value(given)  # type: ignore[misc]
    # At the ends of the calendar there is no moment that is the same elsewhere, and PostgreSQL is told all of them in UTC.
    if not MINYEAR < moment.year < MAXYEAR:
        raise GraphQLError(f"a moment lies in the years {MINYEAR + 1} to {MAXYEAR - 1}")
    return moment


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise GraphQLError("this is no string")
    return given


SCALARS: dict[object, Any] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment, as RFC 3339 writes it: `2030-01-31T06:00:00+00:00`.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=isoformat,
        parse_value=_moment,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON.",
        specified_by_url="https://ecma-international.org/publications-and-standards/standards/ecma-404/",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    ),
    UUID: strawberry.scalar(
        name="UUID",
        description="A device's own name for itself, as RFC 9562 writes it.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc9562",
        serialize=str,
        parse_value=_uuid,
    ),
    Digest: strawberry.scalar(
        name="Digest",
        description="What an image is, byte for byte: `sha256:` and 64 hexadecimal digits.",
        specified_by_url="https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests",
        serialize=str,
        parse_value=_text,
    ),
    ImageReference: strawberry.scalar(
        name="ImageReference",
        description="An image as Docker writes it: `nginx:1.27`, `ghcr.io/acme/app@sha256:…`.",
        specified_by_url="https://pkg.go.dev/github.com/distribution/reference",
        serialize=str,
        parse_value=_text,
    ),
}
