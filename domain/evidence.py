"""What failures prove: whether an image fails more often than its policy allows, or was only unlucky so far."""

import math

# Rates above the limit that are thought possible, evenly spaced in their logarithm. Sixteen would stop as soon (0.1 % to 50 % limits:
# within 0.1 % of the devices harmed), but the lowest bounds what is ever noticed: of 32 it is 1.11 times a limit of 0.1 %, 1.03 times 20 %.
ALTERNATIVES = 32


def exceeds(bad: int, outcomes: int, limit: float, confidence: float) -> bool:
    """Whether so many failures among so many outcomes prove, with this confidence, a true failure rate above the limit.

    Ask after every outcome: an image within the limit is *ever* found to exceed it with a probability of at most 1 - confidence.
    That is Ville's inequality (Étude critique de la notion de collectif, 1939) for a mixture of likelihood ratios (Robbins,
    Annals of Mathematical Statistics 41, 1970, p. 1397; Howard, Ramdas, McAuliffe, Sekhon, Annals of Statistics 49, 2021, p. 1055).
    """
    return bad > 0 and evidence(bad, outcomes, limit) >= (-math.log1p(-confidence) if confidence < 1 else math.inf)


def evidence(bad: int, outcomes: int, limit: float) -> float:
    """How many times likelier the outcomes are under a rate above the limit than at it, as a natural logarithm: 3.0 is twentyfold.

    Wald's sequential test (Annals of Mathematical Statistics 16, 1945, p. 117) is this with one alternative: quickest where that is the
    true rate, but with twice 5 % it takes five failures in a row where two are proof. A Wilson bound is for one look: looked at after
    each of 1,000 outcomes, at "95 %", it stops 46 % of the images that fail exactly at a limit of 5 %; this stops 2.7 %.
    """
    if not 0 < limit < 1:
        return math.inf if bad and limit <= 0 else -math.inf
    ratios = [bad * failure + (outcomes - bad) * success for failure, success in _alternatives(limit)]
    top = max(ratios)  # e to the others overflows at some thousand outcomes
    return top + math.log(sum(math.exp(ratio - top) for ratio in ratios) / ALTERNATIVES)


def _alternatives(limit: float) -> list[tuple[float, float]]:
    """What a failure and a success add under each alternative p: ln(p / limit) and ln((1 - p) / (1 - limit)).

    All are above the limit, so that under any true rate up to it no ratio grows on average: a non-negative supermartingale, as is the mean.
    """
    powers = [(number + 0.5) / ALTERNATIVES for number in range(ALTERNATIVES)]  # p = limit ** power
    return [((power - 1) * math.log(limit), math.log(-math.expm1(power * math.log(limit))) - math.log1p(-limit)) for power in powers]
