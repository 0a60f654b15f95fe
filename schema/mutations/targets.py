"""What can be done with what a device should run."""

import strawberry
from strawberry.scalars import JSON

from domain.patches import Patch
from resolvers import devices, targets
from schema.devices import Device, TargetState
from schema.mutations.inputs import EXPECTED
from schema.results import mutation
from schema.scalars import UUID, ImageReference
from schema.session import Info


@strawberry.input
class _TargetInput:
    uuid: UUID = strawberry.field(description="Which device.")
    expected_version: int | None = strawberry.field(description=f"{EXPECTED} The target's version is meant.", default=None)


@strawberry.input(description="What one device should run.")
class SetDeviceTargetInput(_TargetInput):
    apps: JSON = strawberry.field(description="By app id, as agents read it: each app has its services, each service its `imageName`.")
    config: JSON | None = strawberry.field(description="Settings passed through to the agent; null leaves them as they are.", default=None)


@strawberry.input(description="What is to become of one service; give an image, a config, or both, or remove alone.")
class TargetPatchInput:
    image: ImageReference | None = strawberry.field(
        description="What it should run; needed for a service that is not there yet.", default=None
    )
    config: JSON | None = strawberry.field(
        description="Merged into its config: objects field by field, null takes a field away (RFC 7396).", default=None
    )
    remove: bool = strawberry.field(description="Take the service away, and its app with the last one.", default=False)

    def to(self, app: str, service: str) -> Patch:
        return Patch.of(app, service, self.image, self.config, remove=self.remove)


@strawberry.input(description="One service of what one device should run.")
class PatchDeviceTargetInput(_TargetInput):
    app: str = strawberry.field(description="The id of its app.")
    service: str = strawberry.field(description="Its name.")
    patch: TargetPatchInput = strawberry.field(description="What is to become of it.")


@strawberry.type
class _TargetPayload:
    device: Device = strawberry.field(description="The device.")
    target_state: TargetState = strawberry.field(description="What it should run now.")


@strawberry.type(description="What became of it.")
class SetDeviceTargetPayload(_TargetPayload):
    pass


@strawberry.type(description="What became of it.")
class PatchDeviceTargetPayload(_TargetPayload):
    pass


@strawberry.type
class TargetMutation:
    @mutation("Tell one device what to run. A service given another image than it has now leaves its rollout.")
    async def set_device_target(self, info: Info, input: SetDeviceTargetInput) -> SetDeviceTargetPayload:  # noqa: A002
        written = await targets.set_target(info.context.ctx, str(input.uuid), input.apps, input.config, input.expected_version)
        return SetDeviceTargetPayload(device=await _device(info, input), target_state=TargetState.of(written))

    @mutation(
        "Change, add or remove one service of what a device should run; the others stay as they are, in their rollouts. What "
        "changes nothing leaves the version where it is."
    )
    async def patch_device_target(self, info: Info, input: PatchDeviceTargetInput) -> PatchDeviceTargetPayload:  # noqa: A002
        patch = input.patch.to(input.app, input.service)
        written = await targets.patch_target(info.context.ctx, str(input.uuid), patch, input.expected_version)
        return PatchDeviceTargetPayload(device=await _device(info, input), target_state=TargetState.of(written))


async def _device(info: Info, asked: _TargetInput) -> Device:
    found = await info.context.load(devices.by_uuids, str(asked.uuid))
    assert found is not None, "its target was written a moment ago"
    return Device.of(found)
