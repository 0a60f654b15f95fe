"""GraphiQL: a page of ours that reaches nobody else, shown where it is wanted."""

import hashlib
import re
from dataclasses import replace

import graphql
import pytest

from schema.build import schema
from server.graphql.graphiql import FILES
from server.settings import Settings
from tests.api import Api
from tests.transports import ANSWERED, TYPENAME, asked, refused, told

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class TestShown:
    """With ROLLWAVE_GRAPHIQL=1."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, graphiql=True)

    async def test_a_browser_sees_a_page_that_runs_nothing_but_our_files(self, api: Api) -> None:
        async with api.http.get("/graphql", headers={"Accept": BROWSER}) as response:
            page = await response.text()
            assert (response.status, response.content_type) == (200, "text/html")
            policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
            assert policy["default-src"] == "'none'"
            assert (policy["script-src"], policy["connect-src"], policy["frame-ancestors"]) == ("'self'", "'self'", "'none'")
            assert "unsafe" not in str(policy)
            assert (response.headers["x-content-type-options"], response.headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert "<style" not in page
        assert not re.search(r"<script(?! src=)|\son\w+=|https?:", page)
        for name in re.findall(r'(?:src|href)="(graphiql/[^"]+)"', page):
            async with api.http.get(f"/{name}") as response:
                assert response.status == 200, name
                assert response.headers["x-content-type-options"] == "nosniff"

    async def test_programs_are_answered_as_ever(self, api: Api) -> None:
        assert await told(api, "GET", params={"query": TYPENAME}) == (200, ANSWERED)
        assert await told(api, json={"query": TYPENAME}, headers={"Accept": BROWSER}) == (200, ANSWERED)
        for path in ("/graphiql/../settings.py", "/graphiql/%2e%2e/settings.py", "/graphiql/none.js", "/graphiql/"):
            async with api.http.get(path) as response:
                assert response.status == 404, path


async def test_where_it_is_not_wanted_there_is_nothing_of_it(api: Api) -> None:
    assert await refused(api, "GET", headers={"Accept": BROWSER}) == (400, "BAD_USER_INPUT")
    assert await refused(api, "GET", headers={"Accept": "text/html"}) == (406, "BAD_USER_INPUT")
    async with asked(api, "GET", headers={"Accept": BROWSER, "Authorization": None}) as response:
        assert response.status == 401
    async with api.http.get("/graphiql/boot.js") as response:
        assert response.status == 404


def test_what_is_not_ours_is_what_the_readme_says_it_is() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| `[^`]+` \| `([0-9a-f]{64})` \|$", (FILES / "README.md").read_text(), re.MULTILINE)
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (FILES / "vendor").iterdir() if path.suffix != ".LICENSE"}

    assert dict(rows) == found


def test_what_it_begins_with_can_be_asked() -> None:
    boot = (FILES / "boot.js").read_text()
    [begun] = re.findall(r"const hello = `(.*?)`;", boot, re.DOTALL)

    assert graphql.validate(schema._schema, graphql.parse(begun)) == []
