"""How the engine counts in words."""


def some(count: int, what: str) -> str:
    """A number of things: 1 device, 2 devices."""
    return f"{count} {what}" + ("" if count == 1 else "s")
