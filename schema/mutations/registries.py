"""What can be done with registries, and said of images."""

import strawberry

from domain.catalogue import Standing
from resolvers import catalogue, registries
from schema.mutations.inputs import EXPECTED
from schema.registries import KnownImage, Registry
from schema.results import mutation
from schema.session import Info


@strawberry.input
class _RegistryInput:
    host: str = strawberry.field(description="As it stands in image names, with its port: `docker.io`, `registry.acme.example:5000`.")
    expected_version: int | None = strawberry.field(description=f"{EXPECTED} 0 is one that was not set.", default=None)


@strawberry.input(description="A registry that may be asked, and how; what was said of it before is replaced.")
class SetRegistryInput(_RegistryInput):
    username: str | None = strawberry.field(description="For it alone; null asks as nobody.", default=None)
    password: str | None = strawberry.field(description="Kept encrypted, and never shown.", default=None)
    plain_http: bool = strawberry.field(description="Ask it without TLS.", default=False)


@strawberry.input(description="Which registry to ask no more.")
class RemoveRegistryInput(_RegistryInput):
    pass


@strawberry.input
class _JudgeInput:
    name: str = strawberry.field(
        description="`ghcr.io/acme/app:1.27@sha256:…` is this very image, `ghcr.io/acme/app:1.27` whatever has the tag, `ghcr.io/acme/app` "
        "the whole repository."
    )
    remark: str | None = strawberry.field(description="Why; 1000 characters at most.", default=None)
    expected_version: int | None = strawberry.field(description=f"{EXPECTED} 0 is one of which nothing was said.", default=None)


@strawberry.input(description="What may be rolled out.")
class ApproveImageInput(_JudgeInput):
    pass


@strawberry.input(description="What may not be rolled out.")
class RejectImageInput(_JudgeInput):
    pass


@strawberry.input(description="What nobody new is to get.")
class DeprecateImageInput(_JudgeInput):
    pass


@strawberry.type(description="What became of it.")
class SetRegistryPayload:
    registry: Registry = strawberry.field(description="The registry as it is now.")


@strawberry.type(description="What became of it.")
class RemoveRegistryPayload:
    was_set: bool = strawberry.field(description="Whether there was anything to do.")


@strawberry.type
class _JudgedPayload:
    known_image: KnownImage = strawberry.field(description="What is known of it now.")


@strawberry.type(description="What became of it.")
class ApproveImagePayload(_JudgedPayload):
    pass


@strawberry.type(description="What became of it.")
class RejectImagePayload(_JudgedPayload):
    pass


@strawberry.type(description="What became of it.")
class DeprecateImagePayload(_JudgedPayload):
    pass


@strawberry.type
class RegistryMutation:
    @mutation("Let a registry be asked: for the digest of a tag, for its tags, for signatures.")
    async def set_registry(self, info: Info, input: SetRegistryInput) -> SetRegistryPayload:  # noqa: A002
        saved = await registries.save(
            info.context.ctx,
            input.host,
            input.username,
            input.password,
            plain_http=input.plain_http,
            expected_version=input.expected_version,
        )
        return SetRegistryPayload(registry=Registry.of(*saved))

    @mutation("Let a registry be asked no more.")
    async def remove_registry(self, info: Info, input: RemoveRegistryInput) -> RemoveRegistryPayload:  # noqa: A002
        was_set = await registries.delete(info.context.ctx, input.host, expected_version=input.expected_version)
        return RemoveRegistryPayload(was_set=was_set)

    @mutation("Approve an image, for policies that take approved ones only. What waits for it goes on.")
    async def approve_image(self, info: Info, input: ApproveImageInput) -> ApproveImagePayload:  # noqa: A002
        return ApproveImagePayload(known_image=await _judge(info, input, Standing.APPROVED))

    @mutation("Reject an image, or a repository with all that is in it; rollouts under way go on.")
    async def reject_image(self, info: Info, input: RejectImageInput) -> RejectImagePayload:  # noqa: A002
        return RejectImagePayload(known_image=await _judge(info, input, Standing.REJECTED))

    @mutation("Have nobody new get an image that was fine once; devices that run it keep it.")
    async def deprecate_image(self, info: Info, input: DeprecateImageInput) -> DeprecateImagePayload:  # noqa: A002
        return DeprecateImagePayload(known_image=await _judge(info, input, Standing.DEPRECATED))


async def _judge(info: Info, said: _JudgeInput, standing: Standing) -> KnownImage:
    judged = await catalogue.judge(info.context.ctx, said.name, standing, said.remark, expected_version=said.expected_version)
    return KnownImage.of(judged)
