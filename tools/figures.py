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

    @property
    def line(self) -> str:
        """All of that, to be read by somebody."""
        said = f"{self.name:18} {self.value:10.4f} {self.unit}"
        if self.ratio is None:
            return said
        better = "small" if self.unit == "kB" else "fast"
        return f"{said}   {self.beside}: {self.reference:.3f} {self.unit}, {self.ratio:.2f} times as {better}"
