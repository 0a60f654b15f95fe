"""Rewrites what others see of us: the GraphQL schema, the REST routes, the layout of the database. Read the diff before committing it."""

import asyncio
import json
import re
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from schema.build import printed
from server import openapi
from server.embedded import PROGRAMS, embedded_postgres
from storage.migrate import migrate

ROOT = Path(__file__).parent.parent
GRAPHQL = ROOT / "schema" / "schema.graphql"
OPENAPI = ROOT / "server" / "openapi.json"
SQL = ROOT / "storage" / "schema.sql"


def graphql_schema() -> str:
    """The schema as clients meet it."""
    return printed() + "\n"


def rest_routes() -> str:
    """The REST routes as they are described to whoever asks."""
    return json.dumps(openapi.document(), indent=2, ensure_ascii=False) + "\n"


def database_schema() -> str:
    """The layout of the database, as our own PostgreSQL writes it."""
    with tempfile.TemporaryDirectory(prefix="rollwave-snapshots-") as directory:
        Path(directory).chmod(0o755)  # as root PostgreSQL runs under another user, who has to get in
        with embedded_postgres(Path(directory) / "data", {"fsync": "off"}) as url:
            asyncio.run(migrate(url))
            return _dump(url)


def _dump(url: str) -> str:
    """The layout without what differs from one dump to the next."""
    program = Path(str(metadata.distribution("embedded-postgres").locate_file(""))) / PROGRAMS / "bin" / "pg_dump"
    what = ["--schema-only", "--no-owner", "--no-privileges", "--exclude-table=_pogo_*"]
    dumped = subprocess.run([program, *what, url], check=True, capture_output=True, text=True).stdout
    kept = [line for line in dumped.splitlines() if not line.startswith(("--", "\\", "SET ", "SELECT pg_catalog.set_config"))]
    return re.sub(r"\n{2,}", "\n\n", "\n".join(kept)).strip() + "\n"


def main() -> None:
    """Write all three."""
    GRAPHQL.write_text(graphql_schema())
    OPENAPI.write_text(rest_routes())
    SQL.write_text(database_schema())


if __name__ == "__main__":
    main()
