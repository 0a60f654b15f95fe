"""When so many devices failed that a rollout must not go on."""

from domain.evidence import exceeds
from domain.health import Outcome
from domain.plans import Limits
from domain.progress import Tally


def why_too_many(limits: Limits, tally: Tally, expected: int, of: str) -> str | None:
    """A sentence about the first limit that is exceeded; None while none is.

    `expected` are devices that are still to show something; `of` says in words whose outcomes these are.
    """
    for kind, most in limits.by_kind.items():
        if _is_over(limits, tally, bad := tally.failures.get(kind, 0), most, expected):
            return f"{bad} of {tally.outcomes} {of} {_did(kind)}; the policy allows {most:.0%}"
    if _is_over(limits, tally, tally.bad, limits.rate, expected):
        return f"{tally.bad} of {tally.outcomes} {of} failed; the policy allows {limits.rate:.0%}"
    return None


def _did(kind: Outcome) -> str:
    return {Outcome.TIMED_OUT: "timed out", Outcome.REFUSED: "refused", Outcome.UNHEALTHY: "were unhealthy"}.get(kind, "failed")


def _is_over(limits: Limits, tally: Tally, bad: int, most: float, expected: int) -> bool:
    """Too many, by the rate or by proof; docs/statistical-stop.md compares the two."""
    seen = bad / tally.outcomes if tally.outcomes else 0.0
    if limits.confidence is None:
        # The minimum guards against judging early; once nobody else is expected, the rate is what it is.
        return seen > most and (expected == 0 or tally.outcomes >= limits.min_outcomes)
    # Failures may be known sooner than successes: whoever took the image counts as good so far, or the first few would prove too much.
    is_proven = exceeds(bad, tally.outcomes + tally.waiting, most, limits.confidence)
    # One lone failure is no pattern; two, or the only device there is, stop a batch that nobody else can save.
    return is_proven or (seen > most and expected == 0 and (bad > 1 or tally.outcomes == 1))
