"""What can be done with many devices at once: each is changed whole, or left as it is, with the reason."""

from datetime import datetime
from typing import Self

import strawberry
from strawberry.scalars import JSON

from domain.fleet import Chosen, DeviceOrder, Done, Place
from resolvers import bulk
from resolvers.bulk import Changed
from schema.fleets import DeviceFilterInput, place_read, place_written
from schema.mutations.targets import TargetPatchInput
from schema.results import Error, as_data, mutation
from schema.scalars import UUID
from schema.session import Info


@strawberry.input(description="The devices that a change is for; one of the three.")
class DevicesInput:
    uuids: list[UUID] | None = strawberry.field(description="These: 1 to 500, all in one call.", default=None)
    filter: DeviceFilterInput | None = strawberry.field(description="Those that it finds; it must ask something.", default=None)
    all: bool = strawberry.field(description="Every device there is.", default=False)

    def chosen(self) -> Chosen:
        return Chosen.of(self.uuids, self.filter.wanted() if self.filter else None, everybody=self.all)


@strawberry.input
class ManyDevicesInput:
    devices: DevicesInput = strawberry.field(description="Which devices.")
    first: int = strawberry.field(description="How many of them in this call, 1 to 500.", default=100)
    after: str | None = strawberry.field(description="Where to go on: the `endCursor` of the call before.", default=None)

    @property
    def place(self) -> Place | None:
        return None if self.after is None else place_read(self.after, DeviceOrder())


@strawberry.input(description="One service of what many devices should run.")
class PatchDeviceTargetsInput(ManyDevicesInput):
    app: str = strawberry.field(description="The id of its app.")
    service: str = strawberry.field(description="Its name.")
    patch: TargetPatchInput = strawberry.field(description="What is to become of it.")
    expected_version: int | None = strawberry.field(description="Leave devices whose target has another version by now.", default=None)


@strawberry.input(description="What to write on many devices, beside what is there.")
class LabelDevicesInput(ManyDevicesInput):
    set: JSON | None = strawberry.field(description="Labels to write, strings by name.", default=None)
    remove: list[str] = strawberry.field(description="Names of labels to take away.", default_factory=list)


@strawberry.input(description="Which devices are to stay as they are.")
class PinDevicesInput(ManyDevicesInput):
    reason: str | None = strawberry.field(description="Why, for those who read it later.", default=None)


@strawberry.input(description="Which devices are to join no rollout, and until when.")
class HoldDevicesInput(ManyDevicesInput):
    until: datetime = strawberry.field(description="When that ends.")
    reason: str | None = strawberry.field(description="Why, for those who read it later.", default=None)


@strawberry.input(description="Which devices may join rollouts again.")
class ReleaseDevicesInput(ManyDevicesInput):
    pass


@strawberry.type(description="What came of a change for one device.")
class DeviceOutcome:
    uuid: UUID = strawberry.field(description="Which device.")
    target_version: int | None = strawberry.field(description="The version of its target, where that was to be changed.")
    error: Error | None = strawberry.field(description="Why it was left as it is; null: it is as you want it.")

    @classmethod
    def of(cls, done: Done) -> Self:
        return cls(uuid=UUID(done.uuid), target_version=done.version, error=None if done.refused is None else as_data(done.refused))


@strawberry.type
class _DeviceResults:
    results: list[DeviceOutcome] = strawberry.field(description="In the order they registered; uuids that nobody has come last.")
    end_cursor: str | None = strawberry.field(description="Pass it as `after` to go on; null after the last device.")
    has_next_page: bool = strawberry.field(description="Whether more devices are meant.")

    @classmethod
    def of(cls, changed: Changed) -> Self:
        return cls(
            results=[DeviceOutcome.of(done) for done in changed.results],
            end_cursor=None if changed.end is None else place_written(changed.end, DeviceOrder()),
            has_next_page=changed.end is not None,
        )


@strawberry.type(description="What came of it, device by device.")
class PatchDeviceTargetsPayload(_DeviceResults):
    pass


@strawberry.type(description="What came of it, device by device.")
class LabelDevicesPayload(_DeviceResults):
    pass


@strawberry.type(description="What came of it, device by device.")
class PinDevicesPayload(_DeviceResults):
    pass


@strawberry.type(description="What came of it, device by device.")
class HoldDevicesPayload(_DeviceResults):
    pass


@strawberry.type(description="What came of it, device by device.")
class ReleaseDevicesPayload(_DeviceResults):
    pass


@strawberry.type
class BulkMutation:
    @mutation(
        "Change one service of what many devices should run, `first` (1 to 500) a call: each is changed whole, or left as it is with the "
        "reason. Called again with the same patch it changes nobody twice."
    )
    async def patch_device_targets(self, info: Info, input: PatchDeviceTargetsInput) -> PatchDeviceTargetsPayload:  # noqa: A002
        patch, expected = input.patch.to(input.app, input.service), input.expected_version
        changed = await bulk.patch_targets(info.context.ctx, input.devices.chosen(), patch, expected, input.first, input.place)
        return PatchDeviceTargetsPayload.of(changed)

    @mutation("Write labels on many devices beside those they have, and take others away.")
    async def label_devices(self, info: Info, input: LabelDevicesInput) -> LabelDevicesPayload:  # noqa: A002
        chosen, without = input.devices.chosen(), tuple(input.remove)
        return LabelDevicesPayload.of(await bulk.label(info.context.ctx, chosen, input.set, without, input.first, input.place))

    @mutation("`pinDevice` for many.")
    async def pin_devices(self, info: Info, input: PinDevicesInput) -> PinDevicesPayload:  # noqa: A002
        chosen = input.devices.chosen()
        return PinDevicesPayload.of(await bulk.pin(info.context.ctx, chosen, input.reason, input.first, input.place))

    @mutation("`holdDevice` for many.")
    async def hold_devices(self, info: Info, input: HoldDevicesInput) -> HoldDevicesPayload:  # noqa: A002
        chosen = input.devices.chosen()
        return HoldDevicesPayload.of(await bulk.hold(info.context.ctx, chosen, input.until, input.reason, input.first, input.place))

    @mutation("`releaseDevice` for many.")
    async def release_devices(self, info: Info, input: ReleaseDevicesInput) -> ReleaseDevicesPayload:  # noqa: A002
        return ReleaseDevicesPayload.of(await bulk.release(info.context.ctx, input.devices.chosen(), input.first, input.place))
