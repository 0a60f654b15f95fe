"""What can be followed."""

import strawberry

from schema.audit import AuditSubscription
from schema.devices import DeviceSubscription
from schema.events import EventSubscription
from schema.fleets import FleetSubscription
from schema.pushes import PushSubscription
from schema.rollouts import RolloutSubscription


@strawberry.type(description="What can be followed.")
class Subscription(EventSubscription, RolloutSubscription, DeviceSubscription, FleetSubscription, PushSubscription, AuditSubscription):
    pass
