"""What can be done: each mutation has one input and answers its payload, or why it changed nothing."""

import strawberry

from schema.mutations.bulk import BulkMutation
from schema.mutations.devices import DeviceMutation
from schema.mutations.endpoints import EndpointMutation
from schema.mutations.policies import PolicyMutation
from schema.mutations.provisioning import ProvisioningMutation
from schema.mutations.registries import RegistryMutation
from schema.mutations.rollouts import RolloutMutation
from schema.mutations.targets import TargetMutation
from schema.mutations.tokens import TokenMutation


@strawberry.type(description="What can be done. What is refused changes nothing, and says why.")
class Mutation(
    PolicyMutation,
    RolloutMutation,
    DeviceMutation,
    TargetMutation,
    BulkMutation,
    ProvisioningMutation,
    EndpointMutation,
    RegistryMutation,
    TokenMutation,
):
    pass
