"""What Docker Hub does when somebody pushes an image."""

from typing import Any

import aiohttp


def body(repository: str, tag: str) -> dict[str, Any]:
    """The fields of Docker Hub's webhook that Rollwave reads."""
    return {"repository": {"repo_name": repository}, "push_data": {"tag": tag}}


def address(url: str, secret: str) -> str:
    """Where Docker Hub posts: it signs nothing, so the secret is in the path."""
    return f"{url}/api/v1/webhooks/docker-registry/{secret}"


async def push(url: str, secret: str, repository: str, tag: str) -> dict[str, Any]:
    """Post the webhook and return the answer; raises aiohttp.ClientResponseError if it is refused."""
    async with aiohttp.ClientSession(raise_for_status=True) as http, http.post(address(url, secret), json=body(repository, tag)) as answer:
        said: dict[str, Any] = await answer.json()
        return said
