"""One call of every root field."""

from typing import Any

from schema.nodes import node_id
from tests.api import nth

POLICY, ROLLOUT = node_id("Policy", 1), node_id("Rollout", 1)
MOVES = ("start", "pause", "resume", "retry", "cancel", "rollBack", "replan")

QUERIES = {
    "node": f'{{ node(id: "{ROLLOUT}") {{ id }} }}',
    "nodes": f'{{ nodes(ids: ["{ROLLOUT}"]) {{ id }} }}',
    "policy": "{ policy(number: 1) { id } }",
    "policies": "{ policies { nodes { id } } }",
    "rollout": "{ rollout(number: 1) { id } }",
    "rollouts": "{ rollouts { nodes { id } } }",
    "previewRollout": f'{{ previewRollout(policy: "{POLICY}", image: "nginx:1.28") {{ __typename }} }}',
    "device": f'{{ device(uuid: "{nth(1)}") {{ uuid }} }}',
    "devices": "{ devices { nodes { uuid } } }",
    "fleet": "{ fleet { name } }",
    "fleets": "{ fleets { nodes { name } } }",
    "testPolicy": f'{{ testPolicy(policy: "{POLICY}", image: "nginx:1.28") {{ __typename }} }}',
    "provisioningKey": "{ provisioningKey(number: 1) { id } }",
    "provisioningKeys": "{ provisioningKeys { nodes { id } } }",
    "webhookEndpoint": "{ webhookEndpoint(number: 1) { id } }",
    "webhookEndpoints": "{ webhookEndpoints { nodes { id } } }",
    "delivery": "{ delivery(number: 1) { id } }",
    "deliveries": "{ deliveries { nodes { id } } }",
    "push": "{ push(number: 1) { id } }",
    "pushes": "{ pushes { nodes { id } } }",
    "registries": "{ registries { nodes { host } } }",
    "repository": '{ repository(name: "nginx") { name } }',
    "repositories": "{ repositories { nodes { name } } }",
    "polledRepositories": "{ polledRepositories { nodes { id } } }",
    "knownImages": "{ knownImages { nodes { id } } }",
    "token": "{ token(number: 1) { id } }",
    "tokens": "{ tokens { nodes { id } } }",
    "audit": "{ audit { nodes { id } } }",
    "eventCursor": "{ eventCursor }",
}
ONE_POLICY, ONE_ROLLOUT, ONE_ENDPOINT = {"id": POLICY}, {"id": ROLLOUT}, {"id": node_id("WebhookEndpoint", 1)}
ONE_DEVICE, ALL_DEVICES, UNTIL = {"uuid": nth(1)}, {"devices": {"all": True}}, {"until": "2030-01-31T06:00:00Z"}
PATCH = {"app": "1001", "service": "web", "patch": {"image": "nginx:1.20"}}
MUTATIONS: dict[str, dict[str, Any]] = {
    "createPolicy": {"imagePattern": "redis", "updateStrategy": "AUTO"},
    "updatePolicy": {**ONE_POLICY, "enabled": False},
    **{f"{verb}Policy": ONE_POLICY for verb in ("enable", "disable", "delete")},
    "unblockRelease": {**ONE_POLICY, "image": "nginx:1.27"},
    "createRollout": {"policy": POLICY, "image": "nginx:1.28"},
    **{f"{move}Rollout": ONE_ROLLOUT for move in MOVES},
    "promoteRollout": {**ONE_ROLLOUT, "batch": 1},
    "approveRollout": {**ONE_ROLLOUT, "checksum": ""},
    "rejectRollout": {**ONE_ROLLOUT, "checksum": ""},
    "rollBackBatch": {**ONE_ROLLOUT, "batch": 1},
    "rollBackDevice": {**ONE_ROLLOUT, **ONE_DEVICE},
    "setDeviceTarget": {**ONE_DEVICE, "apps": {}},
    "patchDeviceTarget": {**ONE_DEVICE, **PATCH},
    "patchDeviceTargets": {**ALL_DEVICES, **PATCH},
    "labelDevices": {**ALL_DEVICES, "set": {"site": "north"}},
    "pinDevices": ALL_DEVICES,
    "holdDevices": {**ALL_DEVICES, **UNTIL},
    "releaseDevices": ALL_DEVICES,
    "setDeviceLabels": {**ONE_DEVICE, "labels": {"site": "north"}},
    "pinDevice": {**ONE_DEVICE, "reason": "a fair"},
    "holdDevice": {**ONE_DEVICE, **UNTIL},
    **{f"{verb}Device": ONE_DEVICE for verb in ("release", "accept", "revoke", "restore")},
    "resetDeviceKey": ONE_DEVICE,
    "createProvisioningKey": {"name": "hall"},
    "revokeProvisioningKey": {"id": node_id("ProvisioningKey", 1)},
    "createWebhookEndpoint": {"name": "ci", "sender": "GENERIC"},
    "rotateWebhookSecret": ONE_ENDPOINT,
    **{f"{verb}WebhookEndpoint": ONE_ENDPOINT for verb in ("enable", "disable", "delete")},
    "replayDelivery": {"id": node_id("Delivery", 1)},
    "setRegistry": {"host": "docker.io"},
    "removeRegistry": {"host": "docker.io"},
    **{f"{verb}Image": {"name": "nginx"} for verb in ("approve", "reject", "deprecate")},
    "createToken": {"name": "ann"},
    "revokeToken": {"id": node_id("Token", 1)},
}
SUBSCRIPTIONS = {
    "rolloutProgress": f'subscription {{ rolloutProgress(id: "{ROLLOUT}") {{ status }} }}',
    "rolloutEvents": f'subscription {{ rolloutEvents(id: "{ROLLOUT}") {{ type }} }}',
    "device": f'subscription {{ device(uuid: "{nth(1)}") {{ device {{ version }} }} }}',
    "deviceCounts": "subscription { deviceCounts { counts { devices } } }",
    "events": "subscription { events { __typename } }",
    "deliveries": "subscription { deliveries { __typename } }",
    "audit": "subscription { audit { __typename } }",
}
ROOTS: dict[str, dict[str, Any]] = {"Query": QUERIES, "Mutation": MUTATIONS, "Subscription": SUBSCRIPTIONS}
