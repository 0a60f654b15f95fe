"""Request bodies: whole, inflated where the agent compressed them, and never larger than allowed."""

import zlib
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request

from domain.errors import BadInput
from resolvers import documents

MOST_SENT = 1_000_000
# Inflated and read before anybody is known: 10 MB, which the original's server took, held up everybody else for 0.4 s.
MOST_INFLATED = 2_000_000


async def read_json(request: Request) -> Any:
    """A body as JSON; raises BadInput for what is none."""
    return parse_json(inflated(await request.body(), request.headers.get("content-encoding", "")))


def inflated(body: bytes, encoding: str) -> bytes:
    """Undo gzip; a small body that would become a huge one is refused before it does."""
    if encoding.lower() in ("", "identity"):
        return body
    if encoding.lower() != "gzip":
        raise HTTPException(415, f"the content encoding “{encoding[:32]}” is not understood; send gzip or none")
    inflater = zlib.decompressobj(wbits=31)
    try:
        whole = inflater.decompress(body, MOST_INFLATED + 1)
    except zlib.error as bad:
        raise BadInput("the body says it is gzip and is not") from bad
    if len(whole) > MOST_INFLATED:
        raise HTTPException(413, f"the body inflates to more than {MOST_INFLATED} bytes")
    if not inflater.eof:
        raise BadInput("the gzip body is cut off")
    return whole


def parse_json(body: bytes | str) -> Any:
    """JSON that can be kept; raises BadInput for any other, and for what is no JSON."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as bad:
        raise BadInput(f"the body is not JSON: {bad}") from bad
    documents.check(said, "the body")
    return said
