"""Every example of docs/api.md does what it says, in the order of the page."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from graphql import OperationType, get_operation_ast, parse

from schema.errors import CODES
from schema.results import ErrorCode
from tests.api import Api, eventually, nth, web

PAGE = (Path(__file__).parent.parent / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"^```(graphql|json)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


async def test_every_example_of_the_page_is_answered(api: Api) -> None:
    for number in (1, 2, 3):
        await api.device(nth(number), web("nginx:1.26"), fleet="berlin")
    answers = []
    for document, variables in _examples():
        answers.append((document, await _answer(api, document, json.loads(variables))))
        if "createRollout" in document:
            await eventually(api.status, "IN_PROGRESS")  # nobody reads a page faster than that

    for document, answer in answers:
        [found] = answer.values() if len(answer) == 1 else [answer]
        assert found, f"nothing was answered to {document}"
        assert "code" not in found, f"{found} to {document}"


def test_the_page_names_every_code() -> None:
    assert [code for code in (*ErrorCode, *CODES.values(), "TOO_COMPLEX", "INTERNAL") if f"`{code}`" not in PAGE] == []


def _examples() -> list[tuple[str, str]]:
    examples = [(document, given) for (kind, document), (after, given) in pairwise(BLOCKS) if (kind, after) == ("graphql", "json")]
    assert len(examples) * 2 == len(BLOCKS), "every document is followed by its variables"
    return examples


async def _answer(api: Api, document: str, variables: dict[str, Any]) -> Any:
    operation = get_operation_ast(parse(document))
    assert operation is not None
    if operation.operation is not OperationType.SUBSCRIPTION:
        return await api.graphql(document, **variables)
    async with api.subscribed(document, **variables) as stream:
        async for answer in stream:
            return answer
    pytest.fail(f"nothing came of {document}")
