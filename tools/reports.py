"""What the agent of November 2025 says of a device, piece by piece."""

import random
from typing import Any

from tools.docker import Container


def about(number: int) -> dict[str, Any]:
    """What the agent says once, since it seldom changes."""
    octets = divmod(number, 250)
    return {"os_version": "Debian 12", "agent_version": "2.0.0", "local_ip": f"10.0.{octets[0]}.{octets[1] + 1}"}


def metrics(dice: random.Random) -> dict[str, Any]:
    """What it says every five minutes."""
    return {
        "cpu_usage": round(dice.uniform(2, 40), 1),
        "memory_usage": round(dice.uniform(0.5, 1.5), 2),
        "memory_total": 2,
        "temperature": round(dice.uniform(40, 60), 1),
    }


def service(wanted: dict[str, Any], container: Container) -> dict[str, Any]:
    """A service as Docker shows it: what runs, which need not be what was asked for."""
    return {
        **wanted,
        "imageName": container.image,
        "containerId": container.id,
        "status": container.status,
        "state": "running" if container.status == "running" else "stopped",
        "config": {**wanted.get("config", {}), "image": container.image},
    }


def claimed(shown: dict[str, Any], image: str) -> dict[str, Any]:
    """The same by an agent that took the configuration of another image for the image."""
    return {**shown, "config": {**shown["config"], "image": image}}


def not_pulled(shown: dict[str, Any], image: str) -> dict[str, Any]:
    """The same when another image should run here and cannot be pulled."""
    error = {"type": "ImagePullBackOff", "message": f"{image}: manifest unknown", "retryCount": 10}
    return {**shown, "serviceStatus": "error", "error": error}
