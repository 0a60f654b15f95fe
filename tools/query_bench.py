"""What a GraphQL query costs over HTTP: Rollwave's stack beside Strawberry as it comes, with the same types, and objects in memory."""

import statistics
from collections.abc import AsyncIterator

import orjson

from tools import hammer
from tools.figures import Figure
from tools.queries import serving

SECONDS, ROUNDS = 4.0, 3
FIELDS = "{ id name image version status fleet }"


async def figures() -> AsyncIterator[Figure]:
    """Queries a second of one object and of a list of fifty, six fields each, medians of rounds in turns."""
    async with serving("ours") as ours, serving("stock") as stock:
        for name, query in (("query_single", "device"), ("query_list_50", "devices")):
            asked = f"query Asked {{ {query} {FIELDS} }}"
            rates = await _rounds((ours, stock), asked)
            yield Figure(name, rates[0], "/s", rates[1], "Strawberry as it comes")


async def _rounds(urls: tuple[str, ...], query: str) -> list[float]:
    found: list[list[float]] = [[] for _ in urls]
    for number, url in list(enumerate(urls)) * ROUNDS:
        answers = await hammer.hammer_from_outside(url, [_post(query)], SECONDS)
        if set(answers.by_status) != {200}:
            raise ValueError(f"{url} answered {answers.by_status}, not only 200")
        found[number].append(answers.per_second)
    return [statistics.median(rates) for rates in found]


def _post(query: str) -> bytes:
    body = orjson.dumps({"query": query})
    head = f"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
