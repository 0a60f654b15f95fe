"""What is asked of rows, where not everything that can be asked always is."""


class Conditions:
    """Only what is given becomes a part of the statement, so that an index for it can be used."""

    def __init__(self) -> None:
        self.given: list[object] = []
        self._said = ["true"]

    def add(self, condition: str, *given: object) -> None:
        """Ask this as well; each {} stands for one of what is given."""
        self._said.append(condition.format(*map(self.give, given)))

    def give(self, value: object) -> str:
        """What stands for it."""
        self.given.append(value)
        return f"${len(self.given)}"

    def where(self, condition: str, given: object) -> None:
        """Ask this as well, unless what is given is None."""
        if given is not None:
            self.add(condition, given)

    def __str__(self) -> str:
        return "\n   and ".join(self._said)
