"""What can be done."""

from dataclasses import asdict

import strawberry
from strawberry.scalars import JSON

from domain.ids import PolicyId, RolloutId
from domain.rollouts import Request
from resolvers import devices, images, policies, rollouts
from schema.devices import TargetState
from schema.paging import number
from schema.policies import CreatePolicyInput, Policy, UpdatePolicyInput, fields_as_written
from schema.rollouts import Rollout
from schema.session import Info


@strawberry.type(description="What can be done. A refused mutation says why and changes nothing.")
class Mutation:
    @strawberry.mutation(description="Make a policy.")
    async def create_policy(self, info: Info, input: CreatePolicyInput) -> Policy:  # noqa: A002
        with fields_as_written():
            return Policy.of(await policies.create(info.context.ctx, asdict(input)))

    @strawberry.mutation(description="Change a policy; rollouts under way keep the plan they started with.")
    async def update_policy(self, info: Info, id: strawberry.ID, input: UpdatePolicyInput) -> Policy:  # noqa: A002
        with fields_as_written():
            return Policy.of(await policies.update(info.context.ctx, _policy(id), input.changes()))

    @strawberry.mutation(description="Let a policy act on pushes.")
    async def enable_policy(self, info: Info, id: strawberry.ID) -> Policy:  # noqa: A002
        return Policy.of(await policies.update(info.context.ctx, _policy(id), {"enabled": True}))

    @strawberry.mutation(description="Keep a policy from acting on pushes; its rollouts go on.")
    async def disable_policy(self, info: Info, id: strawberry.ID) -> Policy:  # noqa: A002
        return Policy.of(await policies.update(info.context.ctx, _policy(id), {"enabled": False}))

    @strawberry.mutation(description="Take a policy away; its rollouts go on, and stay in the history.")
    async def delete_policy(self, info: Info, id: strawberry.ID) -> Policy:  # noqa: A002
        return Policy.of(await policies.delete(info.context.ctx, _policy(id)))

    @strawberry.mutation(description="Let a release that was rolled back be rolled out again; false if it was not blocked.")
    async def unblock_release(self, info: Info, policy_id: strawberry.ID, image: str) -> bool:
        return await policies.unblock(info.context.ctx, _policy(policy_id), image)

    @strawberry.mutation(description="Roll an image out by hand, to the devices that a policy governs.")
    async def create_rollout(self, info: Info, policy_id: strawberry.ID, image: str) -> Rollout:
        return Rollout.of(await images.create_rollout(info.context.ctx, _policy(policy_id), image))

    @strawberry.mutation(description="Start a rollout that waits for an operator.")
    async def start_rollout(self, info: Info, id: strawberry.ID, reason: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.START, reason)

    @strawberry.mutation(description="Offer the image to nobody new; those who were offered it keep it.")
    async def pause_rollout(self, info: Info, id: strawberry.ID, reason: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.PAUSE, reason)

    @strawberry.mutation(description="Go on, accepting the failures so far; further ones count again.")
    async def resume_rollout(self, info: Info, id: strawberry.ID, reason: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.RESUME, reason)

    @strawberry.mutation(description="End a rollout where it is; devices that were offered the image keep it.")
    async def cancel_rollout(self, info: Info, id: strawberry.ID, reason: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.CANCEL, reason)

    @strawberry.mutation(description="Return every device to the image it had before, and block the release.")
    async def roll_back_rollout(self, info: Info, id: strawberry.ID, reason: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.ROLL_BACK, reason)

    @strawberry.mutation(description="Tell one device what to run. A service given another image than it has now leaves its rollout.")
    async def set_device_target(
        self, info: Info, uuid: strawberry.ID, apps: JSON, config: JSON | None = None, expected_version: int | None = None
    ) -> TargetState:
        return TargetState.of(await devices.set_target(info.context.ctx, uuid, apps, config, expected_version))

    @strawberry.mutation(description="A key that lets devices register themselves in a fleet. It is shown this once.")
    async def create_provisioning_key(self, info: Info, fleet: str | None = None) -> str:
        return await devices.create_provisioning_key(info.context.ctx, fleet)


async def _request(info: Info, id: strawberry.ID, what: Request, reason: str | None) -> Rollout:  # noqa: A002
    return Rollout.of(await rollouts.request(info.context.ctx, RolloutId(number(id, "rollout")), what, reason))


def _policy(id: strawberry.ID) -> PolicyId:  # noqa: A002
    return PolicyId(number(id, "policy"))
