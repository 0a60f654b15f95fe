"""A PostgreSQL that may be restarted, or crash, without anybody else noticing."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from server import embedded
from server.embedded import embedded_postgres

# A commit is still in the kernel's hands before anybody hears of it, and outlives the server's death, though not the machine's.
QUICK = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Restartable:
    """An embedded one, in a directory of its own."""

    url: str
    home: embedded._Home

    async def restart(self) -> None:
        """As an operator would."""
        await asyncio.to_thread(self.home.stop)
        await asyncio.to_thread(self.home.start, QUICK)

    async def crash(self) -> None:
        """As if it had been killed: it comes back by what its log of writes says."""
        postmaster = (self.home.cluster / "postmaster.pid").read_text().partition("\n")[0]
        os.kill(int(postmaster), signal.SIGQUIT)
        while self.home._is_our_server(postmaster):  # noqa: ASYNC110 – it is no child of ours, whom we could wait for
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self.home.start, QUICK)


@contextmanager
def restartable() -> Iterator[Restartable]:
    """It is gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="rollwave-", dir="/tmp") as path:
        Path(path).chmod(0o755)  # as root the server runs under another user, who has to get in
        data = Path(path) / "data"
        with embedded_postgres(data, QUICK) as url:
            yield Restartable(url, embedded._Home(data.resolve(), embedded._owner()))
