"""What can be asked of rollouts."""

import strawberry

from domain.ids import PolicyId, RolloutId
from domain.requests import Request
from resolvers import images, rollouts
from schema.mutations.inputs import ChangeInput, CreateInput, ReasonedInput
from schema.nodes import number_of
from schema.results import mutation
from schema.rollouts import Rollout
from schema.scalars import UUID, ImageReference
from schema.session import Info


@strawberry.input(description="An image to roll out by hand.")
class CreateRolloutInput(CreateInput):
    policy: strawberry.ID = strawberry.field(description="The policy whose devices get it, and by whose plan.")
    image: ImageReference = strawberry.field(description="The image.")
    also: list[ImageReference] = strawberry.field(
        description="Images of other repositories that move together with it: a device has all of them or none.", default_factory=list
    )


@strawberry.input(description="Which rollout to start.")
class StartRolloutInput(ReasonedInput):
    pass


@strawberry.input(description="Which rollout is to try again.")
class RetryRolloutInput(ReasonedInput):
    pass


@strawberry.input(description="Which rollout to pause.")
class PauseRolloutInput(ReasonedInput):
    pass


@strawberry.input(description="Which rollout is to go on.")
class ResumeRolloutInput(ReasonedInput):
    pass


@strawberry.input(description="Which rollout to end.")
class CancelRolloutInput(ReasonedInput):
    pass


@strawberry.input(description="Which rollout to take back.")
class RollBackRolloutInput(ReasonedInput):
    pass


@strawberry.input
class _VerdictInput(ChangeInput):
    checksum: str = strawberry.field(description="The rollout's `checksum` as you read it: another release or plan is not decided on.")
    remark: str | None = strawberry.field(description="Why.", default=None)


@strawberry.input(description="Which rollout may start.")
class ApproveRolloutInput(_VerdictInput):
    pass


@strawberry.input(description="Which rollout may not start.")
class RejectRolloutInput(_VerdictInput):
    pass


@strawberry.input(description="Which rollout is to take over its policy's settings.")
class ReplanRolloutInput(ChangeInput):
    pass


@strawberry.input(description="From which batch to go on.")
class PromoteRolloutInput(ReasonedInput):
    batch: int = strawberry.field(description="The open batch, from 1.")


@strawberry.input(description="Which batch to take back.")
class RollBackBatchInput(ChangeInput):
    batch: int = strawberry.field(description="From 1.")


@strawberry.input(description="Which device to take back.")
class RollBackDeviceInput(ChangeInput):
    uuid: UUID = strawberry.field(description="The device.")


@strawberry.type
class _RolloutPayload:
    rollout: Rollout = strawberry.field(description="The rollout as it is now.")


@strawberry.type(description="What became of it.")
class CreateRolloutPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class StartRolloutPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class RetryRolloutPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class PauseRolloutPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class ResumeRolloutPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class CancelRolloutPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class RollBackRolloutPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class ApproveRolloutPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class RejectRolloutPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class ReplanRolloutPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class PromoteRolloutPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class RollBackBatchPayload(_RolloutPayload):
    pass


@strawberry.type(description="What became of it.")
class RollBackDevicePayload(_RolloutPayload):
    pass


@strawberry.type
class RolloutMutation:
    @mutation("Roll an image out by hand, to the devices that a policy governs.")
    async def create_rollout(self, info: Info, input: CreateRolloutInput) -> CreateRolloutPayload:  # noqa: A002
        policy = PolicyId(number_of(input.policy, "Policy", "policy"))
        made = await images.create_rollout(info.context.ctx, policy, input.image, input.also, idempotency_key=input.idempotency_key)
        return CreateRolloutPayload(rollout=Rollout.of(made))

    @mutation("Start a rollout that waits for an operator.")
    async def start_rollout(self, info: Info, input: StartRolloutInput) -> StartRolloutPayload:  # noqa: A002
        return StartRolloutPayload(rollout=await _request(info, input, Request.START, input.reason))

    @mutation("Take the image back from every device that failed, and offer it again.")
    async def retry_rollout(self, info: Info, input: RetryRolloutInput) -> RetryRolloutPayload:  # noqa: A002
        return RetryRolloutPayload(rollout=await _request(info, input, Request.RETRY, input.reason))

    @mutation("Offer the image to nobody new; those who were offered it keep it.")
    async def pause_rollout(self, info: Info, input: PauseRolloutInput) -> PauseRolloutPayload:  # noqa: A002
        return PauseRolloutPayload(rollout=await _request(info, input, Request.PAUSE, input.reason))

    @mutation("Go on, accepting the failures so far; further ones count again.")
    async def resume_rollout(self, info: Info, input: ResumeRolloutInput) -> ResumeRolloutPayload:  # noqa: A002
        return ResumeRolloutPayload(rollout=await _request(info, input, Request.RESUME, input.reason))

    @mutation("End a rollout where it is; devices that were offered the image keep it.")
    async def cancel_rollout(self, info: Info, input: CancelRolloutInput) -> CancelRolloutPayload:  # noqa: A002
        return CancelRolloutPayload(rollout=await _request(info, input, Request.CANCEL, input.reason))

    @mutation("Return every device to the image it had before, and block the release; for a month also after it completed.")
    async def roll_back_rollout(self, info: Info, input: RollBackRolloutInput) -> RollBackRolloutPayload:  # noqa: A002
        return RollBackRolloutPayload(rollout=await _request(info, input, Request.ROLL_BACK, input.reason))

    @mutation("Approve a rollout that needs it: the release and plan that its checksum stood for when you read it, and no other.")
    async def approve_rollout(self, info: Info, input: ApproveRolloutInput) -> ApproveRolloutPayload:  # noqa: A002
        return ApproveRolloutPayload(rollout=await _request(info, input, Request.APPROVE, input.remark, decided_on=input.checksum))

    @mutation("Refuse a rollout that needs approval; it ends.")
    async def reject_rollout(self, info: Info, input: RejectRolloutInput) -> RejectRolloutPayload:  # noqa: A002
        return RejectRolloutPayload(rollout=await _request(info, input, Request.REJECT, input.remark, decided_on=input.checksum))

    @mutation("Go on from the open batch, once it has proved itself: without the delay, gate or operator it waits for.")
    async def promote_rollout(self, info: Info, input: PromoteRolloutInput) -> PromoteRolloutPayload:  # noqa: A002
        return PromoteRolloutPayload(rollout=await _request(info, input, Request.PROMOTE, input.reason, batch=input.batch))

    @mutation("Have a rollout that has not begun take over its policy's settings; approvals given for the old ones are void.")
    async def replan_rollout(self, info: Info, input: ReplanRolloutInput) -> ReplanRolloutPayload:  # noqa: A002
        moved = await rollouts.replan(info.context.ctx, _rollout(input), expected_version=input.expected_version)
        return ReplanRolloutPayload(rollout=Rollout.of(moved))

    @mutation("Return one batch to the image it had before; the others keep it, and the rollout goes on.")
    async def roll_back_batch(self, info: Info, input: RollBackBatchInput) -> RollBackBatchPayload:  # noqa: A002
        moved = await rollouts.roll_back_batch(info.context.ctx, _rollout(input), input.batch, expected_version=input.expected_version)
        return RollBackBatchPayload(rollout=Rollout.of(moved))

    @mutation("Return one device to the image it had before; it stays out of this rollout.")
    async def roll_back_device(self, info: Info, input: RollBackDeviceInput) -> RollBackDevicePayload:  # noqa: A002
        rollout, uuid = _rollout(input), str(input.uuid)
        moved = await rollouts.roll_back_device(info.context.ctx, rollout, uuid, expected_version=input.expected_version)
        return RollBackDevicePayload(rollout=Rollout.of(moved))


async def _request(
    info: Info, asked: ChangeInput, what: Request, reason: str | None, *, decided_on: str | None = None, batch: int | None = None
) -> Rollout:
    moved = await rollouts.request(
        info.context.ctx, _rollout(asked), what, reason, decided_on, batch, expected_version=asked.expected_version
    )
    return Rollout.of(moved)


def _rollout(asked: ChangeInput) -> RolloutId:
    return RolloutId(number_of(asked.id, "Rollout"))
