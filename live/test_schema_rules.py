"""What compilers and linters that others wrote find in the schema."""

import json
from pathlib import Path

from live.javascript import PROGRAMS, SCRIPTS, run
from tools.snapshots import GRAPHQL

DOCUMENTS = SCRIPTS / "relay"


async def test_relay_compiles_what_pages_would_ask(tmp_path: Path) -> None:
    (compiled := tmp_path / "compiled").mkdir()
    settings = {"src": str(DOCUMENTS), "schema": str(GRAPHQL), "artifactDirectory": str(compiled), "language": "javascript"}
    (config := tmp_path / "relay.json").write_text(json.dumps(settings))

    code, said = await run(PROGRAMS / "relay-compiler" / "cli.js", str(config))

    assert code == 0, said
    written = sum(file.read_text().count("graphql`") for file in DOCUMENTS.glob("*.js"))
    assert len(list(compiled.iterdir())) > written, "a fragment that can be fetched again has a query of its own"


async def test_the_schema_keeps_the_rules_of_graphql_eslint() -> None:
    rules = ["--config", str(SCRIPTS / "eslint.config.js"), "--max-warnings", "0"]

    code, said = await run(PROGRAMS / "eslint" / "bin" / "eslint.js", *rules, str(GRAPHQL))

    assert code == 0, said
