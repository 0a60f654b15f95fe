"""Rollwave from programs and from the command line: a typed client of its GraphQL API, and what automation needs around it."""

from rollwave.connection import Rollwave
from rollwave.errors import Refused, RollwaveError, Unreachable
from rollwave.finding import policy_by, rollout_by
from rollwave.following import follow
from rollwave.outcomes import moved, previewed, settled, unblocked
from rollwave.version import VERSION

__version__ = VERSION
__all__ = [
    "Refused", "Rollwave", "RollwaveError", "Unreachable", "follow", "moved", "policy_by", "previewed", "rollout_by", "settled",
    "unblocked",
]  # fmt: skip
