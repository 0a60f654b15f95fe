"""One measurement, and what it is compared with in the same run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement, and what it is compared with."""

    name: str
    value: float
    unit: str
    reference: float | None = None
    """What it is compared with, in the same unit."""
    beside: str = "a row for each device"
    """What that is."""

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the reference."""
        if self.reference is None:
            return None
        return self.value / self.reference if self.unit == "/s" else self.reference / self.value
