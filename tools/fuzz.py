"""Webhooks nobody sends: payloads of the tests, damaged at random, until something breaks or the time is over.

    python -m tools.fuzz --seconds 30 [--seed 7]

Reports what is neither read nor refused in words, every image that cannot be written down and read again, and every body that takes
longer than 50 ms; the exit code is 1 if there was any.
"""

import argparse
import base64
import json
import random
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.endpoints import Sender
from domain.errors import BadInput
from domain.images import Image
from registries.webhooks import read

PAYLOADS = Path(__file__).parent.parent / "tests" / "payloads"
SLOW = 0.050
_TRIES = 5  # a slow call may be the machine's fault, five in a row are ours
_LONGEST = 1_000_000
_SHOWN = 400

_HEADERS: tuple[dict[str, str], ...] = (
    *({}, {}, {}, {}),
    {"x-github-event": "package", "x-github-delivery": "\x00"},
    {"x-gitea-event": "package", "x-github-event": "package"},
    {"x-nexus-webhook-id": "rm:repository:component"},
    {"user-agent": "AzureContainerRegistry/1.0"},
)
_HOSTS = (None, None, "registry.acme.example", "", "a b", "[::1]:5000")
_TEXTS = (
    "",
    "a",
    "A",
    "a:b",
    "@",
    "sha256:",
    "latest",
    "push",
    "PUSH_ARTIFACT",
    "docker",
    "container",
    "https://",
    "\x00",
    "\u00e9",
    "a/" * 99,
)
_NUMBERS = (0, -1, 1.5, 2**63, 10**300, True, False, None)
_PIECES = (b"", b"[", b"{", b'"', b"\\", b"\xff", b"\x00", b",", b"1e999", b"NaN", b"\\ud800", b"[" * 300, b"9" * 5000)


@dataclass(frozen=True, slots=True)
class Case:
    """One webhook, and the endpoint it is sent to."""

    headers: dict[str, str]
    body: bytes
    sender: Sender | None
    default_host: str | None

    def read(self) -> None:
        """Read it; raises whatever should not have been raised."""
        try:
            received = read(self.headers, self.body, sender=self.sender, default_host=self.default_host)
        except BadInput:
            return
        for image in received.images:
            if Image.parse(str(image)) != image:
                raise AssertionError(f"{image} does not read as what was written")


def payloads() -> list[tuple[Sender, Any]]:
    """What the tests have of every sender."""
    return [(_named(path.stem), json.loads(path.read_text())) for path in sorted(PAYLOADS.glob("*.json"))]


def _named(stem: str) -> Sender:
    return next(sender for sender in Sender if stem.startswith(sender.replace("-", "_")))


def case(dice: random.Random, known: list[tuple[Sender, Any]]) -> Case:
    """A webhook of whatever kind the dice say, mostly sent to where it belongs."""
    own, payload = dice.choice(known)
    body = _mangled(dice, _written(dice, _damaged(dice, payload)))
    sender = dice.choice([None, None, own, own, own, dice.choice(list(Sender))])
    return Case(dice.choice(_HEADERS), body[:_LONGEST], sender, dice.choice(_HOSTS))


def _damaged(dice: random.Random, body: Any) -> Any:
    """The same with a few of its values changed; what is wrapped in Base64 is sometimes opened for it."""
    for _ in range(dice.randrange(4)):
        body = json.loads(json.dumps(body))  # what `_longer` repeats is one object: a change to it would be 2,000 of them
        holders = [holder for holder in _holders(body) if holder]
        if holders:
            _change(dice, dice.choice(holders))
    return body


def _holders(value: Any) -> list[Any]:
    """Every list and object in it, itself included."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [holder for inner in inside for holder in _holders(inner)]
    return [value, *found] if isinstance(value, dict | list) else found


def _change(dice: random.Random, holder: Any) -> None:
    """Lose a value, replace it, or change it."""
    place = dice.choice(list(holder)) if isinstance(holder, dict) else dice.randrange(len(holder))
    if dice.random() < 0.2:
        del holder[place]
    else:
        holder[place] = dice.choice(_CHANGES)(dice, holder[place])


def _another(dice: random.Random, _: Any) -> Any:
    return dice.choice([dice.choice(_TEXTS), dice.choice(_NUMBERS), [], {}, [[]], {"a": {}}])


def _longer(dice: random.Random, value: Any) -> Any:
    """Much more of the same, but no more than anybody would send: a body of gigabytes only ends the fuzzer."""
    times = min(dice.choice([2, 2, 2, 2, 300, 300, 3_000, 30_000]), _LONGEST // len(json.dumps(value)))
    return value * times if isinstance(value, str | list) else [value] * min(times, 2000)


def _deeper(dice: random.Random, value: Any) -> Any:
    for _ in range(dice.choice([1, 50, 190])):
        value = [value] if dice.random() < 0.5 else {"a": value}
    return value


def _spliced(dice: random.Random, value: Any) -> Any:
    """A text with another in the middle; a message in Base64 changed from within."""
    if not isinstance(value, str):
        return value
    if (inner := _opened(value)) is not None:
        return base64.b64encode(json.dumps(_damaged(dice, inner)).encode()).decode()
    at = dice.randrange(len(value) + 1)
    return value[:at] + dice.choice(_TEXTS) + value[at:]


def _opened(value: str) -> Any:
    try:
        inner = json.loads(base64.b64decode(value, validate=True))
    except (ValueError, RecursionError):
        return None
    return inner if isinstance(inner, dict) else None


_CHANGES: tuple[Callable[[random.Random, Any], Any], ...] = (_another, _another, _longer, _deeper, _spliced, _spliced)


def _written(dice: random.Random, body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")


def _mangled(dice: random.Random, body: bytes) -> bytes:
    """Now and then the bytes themselves are damaged."""
    for _ in range(dice.choice([0, 0, 0, 1, 3])):
        start, end = sorted(dice.randrange(len(body) + 1) for _ in "ab")
        if dice.random() < 0.5:
            end = start
        body = body[:start] + dice.choice(_PIECES) + body[end:]
    return body


def problem(case: Case) -> str | None:
    """What is wrong with how it was read, if anything is."""
    try:
        if _seconds(case) > SLOW and (best := min(_seconds(case) for _ in range(_TRIES))) > SLOW:
            return f"took {best * 1000:.0f} ms at best"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:_SHOWN]}"
    return None


def _seconds(case: Case) -> float:
    before = time.perf_counter()
    case.read()
    return time.perf_counter() - before


def main() -> None:
    """Fuzz for as long as asked."""
    options = argparse.ArgumentParser(description="Damage webhooks at random and read them.")
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--seed", type=int, default=secrets.randbits(32))
    asked = options.parse_args()
    print(f"seed {asked.seed}", flush=True)
    dice, known = random.Random(asked.seed), payloads()
    ends, count, problems = time.monotonic() + asked.seconds, 0, 0
    while time.monotonic() < ends:
        tried = case(dice, known)
        count += 1
        if (wrong := problem(tried)) is not None:
            problems += 1
            print(
                f"{wrong}\n  {tried.sender} {tried.default_host!r} {tried.headers} {tried.body[:_SHOWN]!r} ({len(tried.body)} bytes)",
                flush=True,
            )
    print(f"{count} webhooks, {problems} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
