"""What the story is about: an image in four versions, what devices are first told to run, and the policy that governs them."""

from typing import Any

REPOSITORY, SERVICE, APP = "acme/sensor", "web", "1001"
FIRST, GOOD, BAD, NEXT = "1.0.0", "1.1.0", "1.2.0", "1.3.0"


def image(tag: str) -> str:
    """The image of this tag."""
    return f"{REPOSITORY}:{tag}"


def apps() -> dict[str, Any]:
    """What a device is first told to run: the service that rollouts update, and one that they leave alone."""
    services = [_service(7, SERVICE, image(FIRST)), _service(8, "cache", "redis:7")]
    return {APP: {"appId": int(APP), "appName": "monitoring", "services": services}}


def _service(number: int, name: str, image: str) -> dict[str, Any]:
    config = {"image": image, "restart": "unless-stopped"}
    return {"serviceId": number, "serviceName": name, "imageName": image, "appId": int(APP), "appName": "monitoring", "config": config}


def policy(poll: float) -> dict[str, Any]:
    """A policy whose minutes are the demo's: in proportion to how often devices poll."""
    return {
        "imagePattern": f"{REPOSITORY}*",
        "updateStrategy": "STAGED",
        "stagedBatches": 3,
        "batchDelayMinutes": 0.7 * poll / 60,
        "soakMinutes": poll / 60,
        "pickupMinutes": 1.5 * poll / 60,
        "deadlineMinutes": 10 * poll / 60,
        "maxFailureRate": 0.2,
    }
