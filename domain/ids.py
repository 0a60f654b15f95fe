"""Names for numbers, so that a rollout's id cannot be passed where a device's is meant."""

from typing import NewType

PolicyId = NewType("PolicyId", int)
ReleaseId = NewType("ReleaseId", int)
RolloutId = NewType("RolloutId", int)
DeviceId = NewType("DeviceId", int)
EndpointId = NewType("EndpointId", int)
DeliveryId = NewType("DeliveryId", int)
PushId = NewType("PushId", int)
ProvisioningKeyId = NewType("ProvisioningKeyId", int)
TokenId = NewType("TokenId", int)
EntryId = NewType("EntryId", int)
