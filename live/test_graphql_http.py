"""What graphql-http asks of any server of GraphQL over HTTP."""

import json

from live.javascript import SCRIPTS, run
from tests.api import Api


async def test_every_audit_of_graphql_http_passes(api: Api) -> None:
    _, said = await run(SCRIPTS / "audits.js", json.dumps({"url": f"{api.url}/graphql", "token": api.token}))

    audits = [json.loads(line) for line in said.splitlines()]
    assert len(audits) >= 61
    assert [audit for audit in audits if audit["happened"] != "ok"] == []
