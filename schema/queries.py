"""What can be read."""

import asyncio
from typing import Annotated

import strawberry

from domain.errors import BadInput
from domain.ids import PolicyId
from resolvers import previews, trials
from schema.audit import AuditQuery
from schema.endpoints import EndpointQuery
from schema.events import EventQuery
from schema.fleets import FleetQuery
from schema.images import ImageQuery
from schema.lookup import find
from schema.nodes import Node, number_of, parts
from schema.policies import PolicyQuery
from schema.previews import RolloutPreview
from schema.provisioning import ProvisioningQuery
from schema.pushes import PushQuery
from schema.registries import RegistryQuery
from schema.results import or_error
from schema.rollouts import RolloutQuery
from schema.scalars import ImageReference
from schema.session import Info
from schema.tokens import TokenQuery
from schema.trials import PolicyTest

MOST_NODES = 100
_ID = strawberry.argument(description="The id of a policy.")


@strawberry.type(description="What can be read.")
class Query(
    PolicyQuery,
    RolloutQuery,
    FleetQuery,
    ImageQuery,
    PushQuery,
    EndpointQuery,
    RegistryQuery,
    ProvisioningQuery,
    TokenQuery,
    AuditQuery,
    EventQuery,
):
    @strawberry.field(description="Whatever has this id; null if it is not there any more.")
    async def node(self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]) -> Node | None:  # noqa: A002
        return await find(info, *parts(id))

    @strawberry.field(description="Whatever has these ids, in their order; null for what is not there any more.")
    async def nodes(
        self, info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="At most 100.")]
    ) -> list[Node | None]:
        if len(ids) > MOST_NODES:
            raise BadInput(f"ids: at most {MOST_NODES}")
        wanted = [parts(id) for id in ids]  # noqa: A001
        # At once, so that each kind is read once.
        return await asyncio.gather(*(find(info, kind, key) for kind, key in wanted))

    @strawberry.field(
        description="What createRollout would do now: who would take part, in which batches, who would not and why, what stands in the "
        "way, and how long it may take.",
        metadata={"cost": 500},
    )
    async def preview_rollout(
        self,
        info: Info,
        policy: Annotated[strawberry.ID, _ID],
        image: Annotated[ImageReference, strawberry.argument(description="The image.")],
        also: Annotated[list[ImageReference] | None, strawberry.argument(description="What would move together with it.")] = None,
        sample: Annotated[int, strawberry.argument(description="How many devices to name for each reason, 0 to 100.")] = 10,
    ) -> or_error(RolloutPreview, "PreviewRolloutResult"):  # type: ignore[valid-type]
        number = PolicyId(number_of(policy, "Policy", "policy"))
        return RolloutPreview.of(await previews.preview(info.context.ctx, number, image, also or (), sample))

    @strawberry.field(
        description="What a policy would make of an image that is pushed now, or, of a bare repository such as ghcr.io/acme/app, of the "
        "tags that its registry has. The registry is asked, if it may be; nothing is changed.",
        metadata={"cost": 200},
    )
    async def test_policy(
        self,
        info: Info,
        policy: Annotated[strawberry.ID, _ID],
        image: Annotated[ImageReference, strawberry.argument(description="The image, or a bare repository.")],
    ) -> or_error(PolicyTest, "TestPolicyResult"):  # type: ignore[valid-type]
        return PolicyTest.of(await trials.trial(info.context.ctx, PolicyId(number_of(policy, "Policy", "policy")), image))
