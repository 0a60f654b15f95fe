"""What became of a mutation: what it made, or Refused."""

from typing import Protocol, runtime_checkable

from rollwave.api.enums import ErrorCode
from rollwave.api.fragments import PolicyLine, RolloutLine
from rollwave.api.preview_rollout import PreviewRolloutPreviewRolloutRolloutPreview as Preview
from rollwave.api.unblock_release import UnblockReleaseUnblockReleaseUnblockReleasePayload as Unblocked
from rollwave.errors import Refused


@runtime_checkable
class Refusal(Protocol):
    """An error that is data: the server understood, and changed nothing."""

    code: ErrorCode
    message: str


class Moved(Protocol):
    """An answer with a rollout in it."""

    rollout: RolloutLine


class Settled(Protocol):
    """An answer with a policy in it."""

    policy: PolicyLine


def moved(answer: Moved | Refusal) -> RolloutLine:
    """The rollout as it is now."""
    if isinstance(answer, Refusal):
        raise _refused(answer)
    return answer.rollout


def settled(answer: Settled | Refusal) -> PolicyLine:
    """The policy as it is now."""
    if isinstance(answer, Refusal):
        raise _refused(answer)
    return answer.policy


def unblocked(answer: Unblocked | Refusal) -> Unblocked:
    """Whether a release was blocked, and its policy as it is now."""
    if isinstance(answer, Unblocked):
        return answer
    raise _refused(answer)


def previewed(answer: Preview | Refusal) -> Preview:
    """What a rollout would be."""
    if isinstance(answer, Preview):
        return answer
    raise _refused(answer)


def _refused(refusal: Refusal) -> Refused:
    return Refused(refusal.code.value, refusal.message)
