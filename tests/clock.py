"""The database's clock, moved instead of slept on."""

from datetime import datetime, timedelta

from storage.connection import Connection


class MovableClock:
    """What the database says, and then some."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        self.standing: datetime | None = None
        """Where it stands still between one `advance` and the next, for tests that name a second; None: it runs."""

    def advance(self, **by: float) -> None:
        """Let time pass: `advance(minutes=1)`."""
        self.ahead += timedelta(**by)

    async def __call__(self, conn: Connection) -> datetime:
        now: datetime = self.standing or await conn.fetchval("select now()")
        return now + self.ahead
