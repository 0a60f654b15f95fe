"""Which media types a client accepts (RFC 9110, 12.5.1), and in which it is answered."""

from dataclasses import dataclass

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"
EVENTS = "text/event-stream"
HTML = "text/html"


@dataclass(frozen=True, slots=True)
class Answer:
    """How to answer."""

    media: str | None
    """The media type of a single answer; None: whatever it is, it comes as events, or not at all."""
    events: bool
    """Whether a stream may come as events."""


class Accept:
    """The value of an Accept header; without one a client takes anything."""

    def __init__(self, header: str) -> None:
        self._qualities = dict(map(_range, header.split(","))) if header.strip() else {"*/*": 1.0}

    def names(self, media: str) -> bool:
        """Whether it is accepted by its name and not by a wildcard."""
        return self._qualities.get(media, 0) > 0

    def quality(self, media: str) -> float:
        """How much it is liked, 0 to 1; what names it more exactly counts."""
        ranges = (media, f"{media.partition('/')[0]}/*", "*/*")
        return next((self._qualities[known] for known in ranges if known in self._qualities), 0)

    def answer(self) -> Answer:
        """In which media type to answer; where neither is liked more, the newer one, but only for those who name it."""
        new, old = self.quality(GRAPHQL), self.quality(JSON)
        media = GRAPHQL if (self.names(GRAPHQL) and new >= old) or (new and not old) else JSON
        events = self.names(EVENTS)
        liked = max(new, old)
        return Answer(media if liked and not (events and self.quality(EVENTS) > liked) else None, events)

    def page(self) -> bool:
        """Whether this is a browser that opens an address."""
        return self.names(HTML) and self.quality(HTML) >= max(self.quality(GRAPHQL), self.quality(JSON))


def _range(part: str) -> tuple[str, float]:
    media, *parameters = part.split(";")
    weights = (value for name, _, value in (parameter.partition("=") for parameter in parameters) if name.strip().lower() == "q")
    return media.strip().lower(), _weight(next(weights, "1"))


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0
    return weight if 0 <= weight <= 1 else 0
