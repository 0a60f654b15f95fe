"""The PostgreSQL we run ourselves is there while anybody uses it, and gone after."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from server.embedded import EmbeddedPostgresError, default_data_dir, embedded_postgres

QUICK = {"fsync": "off", "full_page_writes": "off"}
IS_ROOT = os.geteuid() == 0
"""Whether PostgreSQL runs as another user than the tests."""

# Says the URL once it may use the server, and leaves when its input ends.
USER = f"""
import signal, sys
from pathlib import Path
from server.embedded import embedded_postgres
signal.signal(signal.SIGINT, signal.default_int_handler)  # whose shell runs the tests in the background has it ignored
with embedded_postgres(Path(sys.argv[1]), {QUICK}) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that anybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="rollwave-", dir="/tmp") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """A data directory in which the server has run before; the tests leave it so."""
    with tempfile.TemporaryDirectory(prefix="rollwave-", dir="/tmp") as path:
        Path(path).chmod(0o755)
        with embedded_postgres(Path(path) / "data", QUICK):
            pass
        yield Path(path) / "data"


def copied(data: Path, to: Path) -> Path:
    subprocess.run(["cp", "-a", data, to], check=True)
    return to


@contextmanager
def a_user_of(data: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "error", "-c", USER, str(data)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdin=-1, stdout=-1, stderr=-1, text=True, start_new_session=True) as user:
        try:
            yield user
        finally:
            with suppress(BrokenPipeError):
                user.communicate()


def url_of(user: subprocess.Popen[str]) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip()


def processes_of(data: Path) -> list[int]:
    """Every process that works in the directory or was given it by name, save us and our users."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            named = f"{data}/" in (process / "cmdline").read_bytes().decode(errors="replace")
            if named or (process / "cwd").readlink().is_relative_to(data):
                found.append(int(process.name))
    return found


def postmaster_of(data: Path) -> int:
    return int((data / "cluster" / "postmaster.pid").read_text().split("\n")[0])


async def fetch(url: str, query: str) -> object:
    conn = await asyncpg.connect(url)
    try:
        return await conn.fetchval(query)
    finally:
        await conn.close()


def modes(*places: Path) -> dict[Path, tuple[int, int]]:
    """Who may do what with every directory below and above these."""
    below = [Path(path) for place in places for path, _, _ in os.walk(place)]
    above = [parent for place in places for parent in place.parents]
    return {path: (path.stat().st_mode, path.stat().st_uid) for path in (*below, *above)}


async def test_a_new_directory_gets_a_server_that_answers(place: Path) -> None:
    with embedded_postgres(place / "some" / "where", QUICK) as url:
        assert "PostgreSQL 18" in str(await fetch(url, "select version()"))
        assert await fetch(url, "select datlocale from pg_database where datname = 'template1'") == "C.UTF-8"
        assert await fetch(url, "show listen_addresses") == ""


async def test_what_is_asked_for_is_set_and_what_keeps_it_private_stays(data: Path) -> None:
    with embedded_postgres(data, {**QUICK, "work_mem": "7MB", "listen_addresses": "*"}) as url:
        assert await fetch(url, "show work_mem") == "7MB"
        assert await fetch(url, "show listen_addresses") == ""
        assert await fetch(url, "show max_connections") == "200"
        assert (data / ".s.PGSQL.5432").stat().st_mode & 0o777 == 0o700


async def test_unless_asked_otherwise_the_server_is_durable(data: Path) -> None:
    with embedded_postgres(data) as url:
        assert await fetch(url, "show fsync") == "on"


async def test_the_settings_of_the_caller_do_not_mislead_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LC_ALL", "xx_XX")

    with embedded_postgres(data, QUICK) as url:
        assert await fetch(url, "select 1") == 1


async def test_a_path_may_have_spaces_and_signs(place: Path, data: Path) -> None:
    odd = copied(data, place / "it's 100% & more+ü?#=:@ here")

    with embedded_postgres(odd, QUICK) as url:
        assert await fetch(url, "select 1") == 1

    assert processes_of(odd) == []


async def test_data_outlives_the_server(data: Path) -> None:
    with embedded_postgres(data, QUICK) as url:
        await fetch(url, "create table kept as select 42 as answer")
    assert processes_of(data) == []

    with embedded_postgres(data, QUICK) as url:
        assert await fetch(url, "select answer from kept") == 42


async def test_whoever_leaves_last_stops_the_server(data: Path) -> None:
    with embedded_postgres(data, QUICK) as mine:
        with a_user_of(data) as other:
            assert url_of(other) == mine
            server = postmaster_of(data)
        assert other.returncode == 0
        assert (await fetch(mine, "select 1"), postmaster_of(data)) == (1, server)

    assert processes_of(data) == []


async def test_whoever_started_the_server_may_leave_first(data: Path) -> None:
    with a_user_of(data) as second:
        with a_user_of(data) as first:
            url = url_of(first)
            assert url_of(second) == url
        assert await fetch(url, "select 1") == 1

    assert (second.returncode, processes_of(data)) == (0, [])


async def test_an_open_connection_does_not_keep_the_server(data: Path) -> None:
    with embedded_postgres(data, QUICK) as url:
        conn = await asyncpg.connect(url)

    conn.terminate()
    assert processes_of(data) == []


async def test_a_failure_while_using_it_stops_the_server_and_is_told(data: Path) -> None:
    with pytest.raises(ZeroDivisionError), embedded_postgres(data, QUICK):
        raise ZeroDivisionError

    assert processes_of(data) == []


async def test_a_killed_users_server_is_adopted_and_then_stopped(data: Path) -> None:
    with a_user_of(data) as user:
        url, server = url_of(user), postmaster_of(data)
        user.kill()
    assert await fetch(url, "select 1") == 1

    with embedded_postgres(data, QUICK) as url:
        assert (await fetch(url, "select 1"), postmaster_of(data)) == (1, server)

    assert processes_of(data) == []


async def test_ctrl_c_leaves_nothing_behind(data: Path) -> None:
    with a_user_of(data) as user:
        url_of(user)
        os.killpg(user.pid, signal.SIGINT)

    assert user.returncode == -signal.SIGINT
    assert processes_of(data) == []


@pytest.mark.parametrize("after", [0.2, 0.3, 0.4, 0.5])
async def test_ctrl_c_while_starting_leaves_nothing_behind(data: Path, after: float) -> None:
    with a_user_of(data) as user:
        with suppress(subprocess.TimeoutExpired):
            user.wait(after)
        os.killpg(user.pid, signal.SIGINT)

    assert user.returncode != 0
    assert processes_of(data) == []


async def test_a_killed_server_starts_again_though_its_pid_is_another_process_s(data: Path) -> None:
    with embedded_postgres(data, QUICK) as url:
        await fetch(url, "create table written as select 42 as answer")
        dead = postmaster_of(data)
        os.kill(dead, signal.SIGKILL)
    with a_sleeper(data) as pid:
        for lock in (data / "cluster" / "postmaster.pid", data / ".s.PGSQL.5432.lock"):
            lock.write_text(lock.read_text().replace(str(dead), str(pid)))

        with embedded_postgres(data, QUICK) as url:
            assert await fetch(url, "select answer from written") == 42


@contextmanager
def a_sleeper(data: Path) -> Iterator[int]:
    """A process of PostgreSQL's user that is not PostgreSQL, and must survive."""
    owner = data.stat()
    groups: list[int] | None = [] if IS_ROOT else None
    with subprocess.Popen(["sleep", "60"], user=owner.st_uid, group=owner.st_gid, extra_groups=groups) as sleeper:
        try:
            yield sleeper.pid
            assert sleeper.poll() is None
        finally:
            sleeper.kill()


async def test_two_may_start_at_once_in_an_empty_directory(place: Path) -> None:
    data = place / "data"
    with a_user_of(data) as one, a_user_of(data) as two:
        assert url_of(one) == url_of(two) != ""
        assert await fetch(f"postgresql://postgres@/postgres?host={data}", "select 1") == 1

    assert (one.returncode, two.returncode, processes_of(data)) == (0, 0, [])


def test_what_a_crash_left_half_made_is_made_again(place: Path) -> None:
    data = place / "data"
    with a_user_of(data) as user:
        while not list(data.glob("cluster.new-*/global")):
            assert user.poll() is None
        user.kill()

    with embedded_postgres(data, QUICK) as url:
        assert url

    while processes_of(data):  # the initdb nobody waits for any more
        time.sleep(0.1)


async def test_nobodys_directories_change_but_ours(place: Path) -> None:
    (place / "parent").mkdir(mode=0o755)
    theirs = place / "parent", Path(sys.prefix)
    before = modes(*theirs)

    with embedded_postgres(place / "parent" / "new" / "data", QUICK):
        pass

    assert {path: mode for path, mode in modes(*theirs).items() if path in before} == before
    assert (place / "parent" / "new").stat().st_mode & 0o777 == 0o755
    assert (place / "parent" / "new" / "data").stat().st_mode & 0o777 == 0o700


def test_a_directory_with_somebody_elses_files_is_refused_and_unchanged(place: Path) -> None:
    theirs = _of_somebody_else(place)
    before = theirs.stat(), sorted(theirs.iterdir())

    with pytest.raises(EmbeddedPostgresError, match="belongs to another user"), embedded_postgres(theirs):
        pass

    assert (theirs.stat(), sorted(theirs.iterdir())) == before


def _of_somebody_else(place: Path) -> Path:
    if not IS_ROOT:
        return Path("/usr")
    theirs = place / "theirs"
    theirs.mkdir(mode=0o755)
    (theirs / "file").touch()
    os.chown(theirs, 12345, 12345)
    return theirs


def test_a_directory_below_one_that_is_closed_to_postgresql_is_refused_in_words(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700 if IS_ROOT else 0o500)
    why = r"may not enter .*closed" if IS_ROOT else r"cannot keep data in .*closed/a/b \(Permission denied\)"

    with pytest.raises(EmbeddedPostgresError, match=why + "; set ROLLWAVE_DATA_DIR"), embedded_postgres(closed / "a" / "b"):
        pass

    assert list(closed.iterdir()) == []


@pytest.mark.parametrize(("name", "why"), [("x" * 100, "too long"), ('a"b', "a character"), ("a,b", "a character")])
def test_a_path_that_cannot_work_is_refused_in_words(place: Path, name: str, why: str) -> None:
    with pytest.raises(EmbeddedPostgresError, match=why), embedded_postgres(place / name):
        pass

    assert list(place.iterdir()) == []


def test_the_longest_path_that_fits_works(place: Path, data: Path) -> None:
    longest = copied(data, place / ("x" * (107 - len(f"{place}//.s.PGSQL.5432"))))

    with embedded_postgres(longest, QUICK):
        pass


def test_another_versions_data_is_refused_in_words(place: Path, data: Path) -> None:
    old = copied(data, place / "old")
    (old / "cluster" / "PG_VERSION").write_text("17\n")

    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 17 and this is PostgreSQL 18"), embedded_postgres(old):
        pass


def test_a_server_that_cannot_start_says_why(data: Path) -> None:
    with (
        pytest.raises(EmbeddedPostgresError, match="unrecognized configuration parameter"),
        embedded_postgres(data, {"no_such": "setting"}),
    ):
        pass

    assert processes_of(data) == []


def test_data_lives_in_a_place_of_its_own_unless_said_otherwise() -> None:
    assert default_data_dir().name == "rollwave"
    assert default_data_dir().is_absolute()
