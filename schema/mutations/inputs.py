"""What the inputs of many mutations have in common."""

import strawberry

KEY = (
    "Any text of 1 to 255 characters that is yours and new: the same request with the same key makes nothing again, and is answered with "
    "what it made the first time. Kept for a day at least."
)
EXPECTED = "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."


@strawberry.input
class CreateInput:
    idempotency_key: str | None = strawberry.field(description=KEY, default=None)


@strawberry.input
class ChangeInput:
    id: strawberry.ID = strawberry.field(description="Which one.")
    expected_version: int | None = strawberry.field(description=EXPECTED, default=None)


@strawberry.input
class ReasonedInput(ChangeInput):
    reason: str | None = strawberry.field(description="Why, for the history.", default=None)
