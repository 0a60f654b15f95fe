"""What can be set from outside, and what is said when it makes no sense."""

import asyncio
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from resolvers import tokens
from server import settings
from server.embedded import default_data_dir
from server.settings import BadSetting, Settings
from storage.database import Database
from tools.snapshots import ROOT


def test_with_nothing_set_it_runs_on_its_own_database_and_refuses_webhooks() -> None:
    settings = Settings.read({})

    assert (settings.database_url, settings.webhook_secret, settings.graphiql) == (None, None, False)
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, default_data_dir())


def test_every_setting_is_read() -> None:
    environ = {
        "DATABASE_URL": "postgresql://db/rollwave",
        "ROLLWAVE_DATA_DIR": "/srv/rollwave",
        "ROLLWAVE_HOST": "0.0.0.0",
        "ROLLWAVE_PORT": "0",
        "ROLLWAVE_WEBHOOK_SECRET": "a secret of twenty-three",
        "ROLLWAVE_GRAPHIQL": "1",
        "ROLLWAVE_GRAPHQL_POINTS": "5000",
        "ROLLWAVE_STREAMS_PER_ADDRESS": "7",
        "ROLLWAVE_STREAMS_PER_TOKEN": "20000",
        "ROLLWAVE_ALLOWED_ORIGINS": "https://Fleet.example:443, http://localhost:5173",
    }
    assert Settings.read(environ) == Settings(
        "postgresql://db/rollwave",
        Path("/srv/rollwave"),
        "0.0.0.0",
        0,
        "a secret of twenty-three",
        graphiql=True,
        graphql_points=5_000,
        streams_per_address=7,
        streams_per_token=20_000,
        allowed_origins=frozenset({"https://fleet.example", "http://localhost:5173"}),
    )


def test_every_setting_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    names = set(re.findall(r'"(DATABASE_URL|ROLLWAVE_\w+)"', inspect.getsource(settings)))

    assert len(names) > 15
    assert {name for name in names if f"`{name}`" not in readme} == set()


@pytest.mark.parametrize("port", ["x", "-1", "65536", "8000.0", "²"])
def test_a_port_that_is_none_is_refused_by_name(port: str) -> None:
    with pytest.raises(BadSetting, match="ROLLWAVE_PORT"):
        Settings.read({"ROLLWAVE_PORT": port})


def test_a_secret_that_could_be_guessed_is_refused_by_name() -> None:
    with pytest.raises(BadSetting, match="ROLLWAVE_WEBHOOK_SECRET"):
        Settings.read({"ROLLWAVE_WEBHOOK_SECRET": "short"})


@pytest.mark.parametrize("points", ["x", "999", "1000000001", "-5000", "5e3"])
def test_points_that_nobody_could_live_by_are_refused_by_name(points: str) -> None:
    with pytest.raises(BadSetting, match="ROLLWAVE_GRAPHQL_POINTS"):
        Settings.read({"ROLLWAVE_GRAPHQL_POINTS": points})


@pytest.mark.parametrize("name", ["ROLLWAVE_STREAMS_PER_ADDRESS", "ROLLWAVE_STREAMS_PER_TOKEN"])
@pytest.mark.parametrize("streams", ["x", "0", "20001", "-1", "1e3"])
def test_streams_that_nobody_could_hold_are_refused_by_name(name: str, streams: str) -> None:
    with pytest.raises(BadSetting, match=name):
        Settings.read({name: streams})


@pytest.mark.parametrize("origins", ["*", "fleet.example", "https://fleet.example/page", "null"])
def test_origins_that_are_none_are_refused_by_name(origins: str) -> None:
    with pytest.raises(BadSetting, match="ROLLWAVE_ALLOWED_ORIGINS"):
        Settings.read({"ROLLWAVE_ALLOWED_ORIGINS": origins})


def test_the_command_line_says_a_bad_setting_in_one_sentence() -> None:
    ended = _command(ROLLWAVE_PORT="x")

    assert (ended.returncode, ended.stderr) == (2, "ROLLWAVE_PORT must be a port number, not “x”\n")


def test_the_command_line_says_in_one_sentence_that_there_is_no_database() -> None:
    for url in ("postgresql://127.0.0.1:1/none", "not a url"):
        ended = _command("token", "ada", DATABASE_URL=url)
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
        assert ended.stderr.startswith("the database cannot be used: ")


async def test_the_command_line_makes_a_token_that_is_known_afterwards(database_url: str, db: Database) -> None:
    made = await asyncio.to_thread(_command, "token", "ada", DATABASE_URL=database_url)

    assert (await tokens.actor(db, made.stdout.strip())).name == "ada"


def _command(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "server", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=30)
