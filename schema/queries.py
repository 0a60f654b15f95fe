"""What can be read."""

from typing import Any

import strawberry

from domain.ids import DeviceId, PolicyId, RolloutId
from resolvers import devices, policies, previews, rollouts
from schema.devices import Device
from schema.enums import Status
from schema.paging import DEFAULT, Connection, number, paged
from schema.policies import Policy
from schema.previews import RolloutPreview
from schema.rollouts import Rollout
from schema.session import Info


@strawberry.type(description="What can be read.")
class Query:
    @strawberry.field(description="One policy.")
    async def policy(self, info: Info, id: strawberry.ID) -> Policy | None:  # noqa: A002
        found = await policies.one(info.context.ctx, PolicyId(number(id, "policy")))
        return None if found is None else Policy.of(found)

    @strawberry.field(description="Policies, in the order they were made.")
    async def policies(self, info: Info, first: int = DEFAULT, after: str | None = None) -> Connection[Policy]:
        async def read(place: int, limit: int) -> Any:
            return await policies.page(info.context.ctx, PolicyId(place), limit)

        return await paged(first, after, 0, read, lambda policy: policy.id, Policy.of)

    @strawberry.field(description="One rollout.")
    async def rollout(self, info: Info, id: strawberry.ID) -> Rollout | None:  # noqa: A002
        found = await rollouts.one(info.context.ctx, RolloutId(number(id, "rollout")))
        return None if found is None else Rollout.of(found)

    @strawberry.field(description="Rollouts, newest first.")
    async def rollouts(
        self, info: Info, first: int = DEFAULT, after: str | None = None, status: list[Status] | None = None
    ) -> Connection[Rollout]:
        async def read(place: int, limit: int) -> Any:
            return await rollouts.page(info.context.ctx, RolloutId(place), limit, status)

        return await paged(first, after, 2**62, read, lambda rollout: rollout.id, Rollout.of)

    @strawberry.field(
        description="What createRollout would do now: who would take part, in which batches, who would not and why, what stands in the "
        "way, and how long it may take. `sample` is how many devices to name for each reason, 0 to 100."
    )
    async def preview_rollout(
        self, info: Info, policy_id: strawberry.ID, image: str, also: list[str] | None = None, sample: int = 10
    ) -> RolloutPreview:
        policy = PolicyId(number(policy_id, "policy"))
        return RolloutPreview.of(await previews.preview(info.context.ctx, policy, image, also or (), sample))

    @strawberry.field(description="One device.")
    async def device(self, info: Info, uuid: strawberry.ID) -> Device | None:
        found = await devices.one(info.context.ctx, uuid)
        return None if found is None else Device.of(found)

    @strawberry.field(description="Devices, in the order they registered.")
    async def devices(self, info: Info, first: int = DEFAULT, after: str | None = None, fleet: str | None = None) -> Connection[Device]:
        async def read(place: int, limit: int) -> Any:
            return await devices.page(info.context.ctx, DeviceId(place), limit, fleet)

        return await paged(first, after, 0, read, lambda device: device.id, Device.of)
