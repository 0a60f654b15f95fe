"""What can be done with one device."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from resolvers import aside, devices, identity
from schema.devices import Device
from schema.mutations.inputs import EXPECTED
from schema.results import mutation
from schema.scalars import UUID
from schema.session import Info


@strawberry.input
class DeviceInput:
    uuid: UUID = strawberry.field(description="Which device.")
    expected_version: int | None = strawberry.field(description=EXPECTED, default=None)


@strawberry.input(description="What to write on a device, in the place of what is there.")
class SetDeviceLabelsInput(DeviceInput):
    labels: JSON = strawberry.field(
        description="At most 64 strings, names of 1 to 63 characters, values of at most 255. A rollout reads them when it ranks its "
        "devices; those under way go on by what it read then."
    )


@strawberry.input(description="Which device is to stay as it is.")
class PinDeviceInput(DeviceInput):
    reason: str | None = strawberry.field(description="Why, for those who read it later.", default=None)


@strawberry.input(description="Which device is to join no rollout, and until when.")
class HoldDeviceInput(DeviceInput):
    until: datetime = strawberry.field(description="When that ends.")
    reason: str | None = strawberry.field(description="Why, for those who read it later.", default=None)


@strawberry.input(description="Which device may join rollouts again.")
class ReleaseDeviceInput(DeviceInput):
    pass


@strawberry.input(description="Which device may have what it should run.")
class AcceptDeviceInput(DeviceInput):
    pass


@strawberry.input(description="Which device to let in no more.")
class RevokeDeviceInput(DeviceInput):
    pass


@strawberry.input(description="Which device to let in again.")
class RestoreDeviceInput(DeviceInput):
    pass


@strawberry.input(description="Whose keys to take away.")
class ResetDeviceKeyInput(DeviceInput):
    pass


@strawberry.type
class _DevicePayload:
    device: Device = strawberry.field(description="The device as it is now.")


@strawberry.type(description="What became of it.")
class SetDeviceLabelsPayload(_DevicePayload):
    pass


@strawberry.type(description="What became of it.")
class PinDevicePayload(_DevicePayload):
    pass


@strawberry.type(description="What became of it.")
class HoldDevicePayload(_DevicePayload):
    pass


@strawberry.type(description="What became of it.")
class ReleaseDevicePayload(_DevicePayload):
    pass


@strawberry.type(description="What became of it.")
class AcceptDevicePayload(_DevicePayload):
    pass


@strawberry.type(description="What became of it.")
class RevokeDevicePayload(_DevicePayload):
    pass


@strawberry.type(description="What became of it.")
class RestoreDevicePayload(_DevicePayload):
    pass


@strawberry.type(description="What became of it.")
class ResetDeviceKeyPayload(_DevicePayload):
    pass


@strawberry.type
class DeviceMutation:
    @mutation("Write labels on a device in the place of those it has.")
    async def set_device_labels(self, info: Info, input: SetDeviceLabelsInput) -> SetDeviceLabelsPayload:  # noqa: A002
        ctx, uuid, expected = info.context.ctx, str(input.uuid), input.expected_version
        return SetDeviceLabelsPayload(device=Device.of(await devices.set_labels(ctx, uuid, input.labels, expected_version=expected)))

    @mutation(
        "Have a device stay exactly at what it is told to run now, until it is released: it leaves the rollouts it is in, "
        "keeps the image it is shown, also should that be rolled back, and joins no other. `setDeviceTarget` still changes it."
    )
    async def pin_device(self, info: Info, input: PinDeviceInput) -> PinDevicePayload:  # noqa: A002
        ctx, uuid, expected = info.context.ctx, str(input.uuid), input.expected_version
        return PinDevicePayload(device=Device.of(await aside.pin(ctx, uuid, input.reason, expected_version=expected)))

    @mutation(
        "Have a device join no rollout until then. It leaves those that have not offered it their image yet; "
        "in those that have it stays. A hold that is there is replaced; a device that is pinned or quarantined must be released first."
    )
    async def hold_device(self, info: Info, input: HoldDeviceInput) -> HoldDevicePayload:  # noqa: A002
        ctx, uuid, expected = info.context.ctx, str(input.uuid), input.expected_version
        return HoldDevicePayload(device=Device.of(await aside.hold(ctx, uuid, input.until, input.reason, expected_version=expected)))

    @mutation(
        "Let a device that is pinned, held or quarantined join rollouts again: the next one, not those that are under way. "
        "One that is not set aside stays as it is."
    )
    async def release_device(self, info: Info, input: ReleaseDeviceInput) -> ReleaseDevicePayload:  # noqa: A002
        ctx, uuid, expected = info.context.ctx, str(input.uuid), input.expected_version
        return ReleaseDevicePayload(device=Device.of(await aside.release(ctx, uuid, expected_version=expected)))

    @mutation("Let a device that waits for it have what it should run; one that does not wait stays as it is.")
    async def accept_device(self, info: Info, input: AcceptDeviceInput) -> AcceptDevicePayload:  # noqa: A002
        ctx, uuid, expected = info.context.ctx, str(input.uuid), input.expected_version
        return AcceptDevicePayload(device=Device.of(await identity.accept(ctx, uuid, expected_version=expected)))

    @mutation(
        "Let a device in no more: its next request is refused, its uuid cannot register. It leaves the rollouts it is in, "
        "keeps the image it is shown, and joins no other."
    )
    async def revoke_device(self, info: Info, input: RevokeDeviceInput) -> RevokeDevicePayload:  # noqa: A002
        ctx, uuid, expected = info.context.ctx, str(input.uuid), input.expected_version
        return RevokeDevicePayload(device=Device.of(await identity.revoke(ctx, uuid, expected_version=expected)))

    @mutation("Let a device that was revoked in again, by the keys it had; one that was not stays as it is.")
    async def restore_device(self, info: Info, input: RestoreDeviceInput) -> RestoreDevicePayload:  # noqa: A002
        ctx, uuid, expected = info.context.ctx, str(input.uuid), input.expected_version
        return RestoreDevicePayload(device=Device.of(await identity.restore(ctx, uuid, expected_version=expected)))

    @mutation(
        "Take a device's keys away, as for one that is flashed anew. Whoever next registers its uuid with a provisioning key "
        "that lets devices in, is the device, and keeps its fleet, labels and target."
    )
    async def reset_device_key(self, info: Info, input: ResetDeviceKeyInput) -> ResetDeviceKeyPayload:  # noqa: A002
        ctx, uuid, expected = info.context.ctx, str(input.uuid), input.expected_version
        return ResetDeviceKeyPayload(device=Device.of(await identity.reset_key(ctx, uuid, expected_version=expected)))
