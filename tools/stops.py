"""Compares the rules that may stop a rollout: how often they stop a good image, and how many devices a bad one harms first.

No dice: the probability of every count of failures is carried from one outcome to the next, so that every figure is exact.
Devices fail independently of one another, at the image's true failure rate, and say so one after another.
"""

import argparse
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

from domain.evidence import exceeds
from domain.plans import sizes
from domain.settings import settings

MIN_OUTCOMES, CONFIDENCE = 5, 0.95
LIMITS = (0.05, 0.20)
RATES = (0.005, 0.02, 0.05, 0.10, 0.20, 0.40)
BATCHES = (5, 10, 20, 50, 100, 300, 1000)
FLEETS, FLEET_RATES = (3, 10, 20, 30, 50, 100), (0.02, 0.10, 0.40, 1.00)
STAGES = settings({"image_pattern": "*", "update_strategy": "staged"}).plan().stages
PAGE = Path(__file__).parents[1] / "docs" / "statistical-stop.md"

Rule = Callable[[int, int, bool], bool]
"""Whether a rollout stops at so many failures, among so many outcomes, with its batch over or not; once it would, more failures do too."""


@dataclass(frozen=True, slots=True)
class Course:
    """What becomes of a rollout, on average."""

    stopped: float
    """The probability that it is ever stopped."""
    harmed: float
    """How many devices had failed when it stopped, or at its end."""
    harmed_at_once: float
    """The same if every device of a batch has taken the image before the first of them says how it went."""


def fixed(limit: float) -> Rule:
    """The observed rate decides, after five outcomes or once the batch is over."""
    return lambda bad, outcomes, over: (over or outcomes >= MIN_OUTCOMES) and bad / outcomes > limit


def evidence(limit: float) -> Rule:
    """Nothing stops a rollout but proof that the true rate is above the limit."""
    return lambda bad, outcomes, _over: _proven(bad, outcomes, limit)


def evidence_or_all(limit: float) -> Rule:
    """Proof, or a batch that is over without one device that works."""
    return lambda bad, outcomes, over: (over and bad == outcomes) or _proven(bad, outcomes, limit)


def combined(limit: float) -> Rule:
    """Proof at any time; once the batch is over, the observed rate too, save for one unlucky device among others that work."""

    def judged(bad: int, outcomes: int) -> bool:
        return bad / outcomes > limit and (bad > 1 or outcomes == 1)

    return lambda bad, outcomes, over: (over and judged(bad, outcomes)) or _proven(bad, outcomes, limit)


@cache
def _proven(bad: int, outcomes: int, limit: float) -> bool:
    return exceeds(bad, outcomes, limit, CONFIDENCE)


def fewest(rule: Rule, ends: Sequence[int]) -> list[int]:
    """How many failures stop a rollout whose batches end at these counts, after 1, 2, 3, … outcomes; one more than those if none do."""

    def at(outcomes: int) -> int:
        return bisect_left(range(outcomes + 1), True, key=lambda bad: rule(bad, outcomes, outcomes in ends))

    return [at(outcomes) for outcomes in range(1, ends[-1] + 1)]


def course(stops: Sequence[int], rate: float, ends: Sequence[int]) -> Course:
    """What becomes of a rollout of an image with this true failure rate, if so many failures stop it after 1, 2, 3, … outcomes."""
    going_on = [1.0]  # the probability that it goes on, by how many have failed
    stopped = harmed = unheard = 0.0
    for outcomes, stop in enumerate(stops, start=1):
        after = [good * (1 - rate) + bad * rate for good, bad in zip([*going_on, 0.0], [0.0, *going_on], strict=True)]
        going_on, stopping = after[:stop], after[stop:]
        stopped += sum(stopping)
        harmed += sum(bad * chance for bad, chance in enumerate(stopping, start=stop))
        unheard += sum(stopping) * rate * (min(end for end in ends if end >= outcomes) - outcomes)
    harmed += sum(bad * chance for bad, chance in enumerate(going_on))
    return Course(stopped, harmed, harmed + unheard)


def one_batch(limit: float) -> str:
    """The rules on a single batch, by its size: how often it is stopped, and how many failed."""
    return _by_size(_rules(limit), RATES, {size: (size,) for size in BATCHES}, lambda result: result.harmed)


def small_fleets(limit: float) -> str:
    """What may decide at the end of a batch, in fleets whose batches are too small for proof; a batch takes the image at once."""
    ends = {size: sizes(STAGES, size) for size in FLEETS}
    rules = _rules(limit) | {"evidence or all": evidence_or_all(limit)}
    return _by_size(rules, FLEET_RATES, ends, lambda result: result.harmed_at_once)


def staged(size: int) -> str:
    """The rules on a rollout to so many devices in three batches, through which the outcomes add up."""
    ends = sizes(STAGES, size)
    rows = []
    for limit in LIMITS:
        stops = {name: fewest(rule, ends) for name, rule in _rules(limit).items()}
        for rate, name in product(RATES, stops):
            result = course(stops[name], rate, ends)
            figures = (f"{result.stopped:.1%}", f"{result.harmed:.1f}", f"{result.harmed_at_once:.1f}")
            rows.append([_percent(limit), _percent(rate), name, *figures])
    return _table(["limit", "true rate", "rule", "stopped", "harmed", "harmed, batch at once"], rows)


def _by_size(
    rules: Mapping[str, Rule], rates: Iterable[float], ends: Mapping[int, Sequence[int]], harmed: Callable[[Course], float]
) -> str:
    stops = {(name, size): fewest(rule, ends[size]) for name, rule in rules.items() for size in ends}
    rows = []
    for rate, name in product(rates, rules):
        results = [course(stops[name, size], rate, ends[size]) for size in ends]
        rows.append([_percent(rate), name, *(f"{result.stopped:.1%} · {harmed(result):.1f}" for result in results)])
    return _table(["true rate", "rule", *(f"{size:,}" for size in ends)], rows)


def report() -> dict[str, str]:
    """Every table, under its name."""
    batches = {f"One batch, limit {_percent(limit)}": one_batch(limit) for limit in LIMITS}
    fleets = {f"Small fleets, limit {_percent(limit)}": small_fleets(limit) for limit in LIMITS}
    return {**batches, "1,000 devices in three batches": staged(1000), **fleets}


def written(page: str, tables: dict[str, str]) -> str:
    """The page with each table in the place that it keeps for it."""
    for name, table in tables.items():
        place = rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)"
        page, found = re.subn(place, lambda kept, table=table: f"{kept[1]}{table}\n{kept[2]}", page, flags=re.DOTALL)  # type: ignore[misc]
        assert found == 1, f"the page has no place for {name!r}"
    return page


def main() -> None:
    """Print the tables, and put them into the page where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.relative_to(PAGE.parents[1])} too")
    given = parser.parse_args()
    tables = report()
    print("\n\n".join(f"{name}\n\n{table}" for name, table in tables.items()))
    if given.write:
        PAGE.write_text(written(PAGE.read_text(), tables))


def _rules(limit: float) -> dict[str, Rule]:
    return {"fixed": fixed(limit), "evidence": evidence(limit), "combined": combined(limit)}


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _table(head: Iterable[str], rows: list[list[str]]) -> str:
    """Markdown that is as readable where it is not rendered."""
    cells = [list(head), *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ["| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
