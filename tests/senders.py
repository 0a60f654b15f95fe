"""What each sender posts to an endpoint of its own, and how it proves that it is the one."""

import hashlib
import hmac
import json
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.endpoints import Scheme, Sender
from tests.api import Api

PAYLOADS = Path(__file__).parent / "payloads"
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
HOST = "registry.acme.example"
HARBOR = "harbor.acme.example:8443/acme/edge-agent"
ECR = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/acme/edge-agent"
GOOGLE = "europe-west3-docker.pkg.dev/acme-prod/images/edge-agent"
CREATED = "secret webhookEndpoint { id number name sender scheme path defaultHost repositories audience serviceAccount enabled }"


@dataclass(frozen=True, slots=True)
class Post:
    """A whole webhook of a sender, and the first image it tells of."""

    payload: str
    image: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return (PAYLOADS / f"{self.payload}.json").read_bytes()

    @property
    def older(self) -> str:
        """What a device may run that would take it."""
        return self.image.partition("@")[0].replace("1.4.2", "1.4.1")


POSTS = {
    Sender.DOCKER_HUB: Post("docker_hub", "acme/edge-agent:1.4.2"),
    Sender.GITHUB: Post("github_package", f"ghcr.io/acme/edge-agent:v1.4.2@{A}", {"X-GitHub-Event": "package", "X-GitHub-Delivery": "1"}),
    Sender.QUAY: Post("quay", "quay.io/acme/edge-agent:1.4.2"),
    Sender.HARBOR: Post("harbor", f"{HARBOR}:1.4.2@{A}"),
    Sender.GITLAB: Post("gitlab", f"registry.gitlab.acme.example/acme/fleet/edge-agent:1.4.2@{A}"),
    Sender.DISTRIBUTION: Post("distribution", f"registry.acme.example:5000/acme/edge-agent:1.4.2@{A}"),
    Sender.AZURE: Post("azure", f"acmeimages.azurecr.io/acme/edge-agent:1.4.2@{A}"),
    Sender.ECR: Post("ecr", f"{ECR}:1.4.2@{A}"),
    Sender.GOOGLE: Post("google", f"{GOOGLE}:1.4.2@{A}"),
    Sender.GITEA: Post("gitea", "git.acme.example/acme/edge-agent:1.4.2", {"X-Gitea-Event": "package", "X-Gitea-Delivery": "9a1e"}),
    Sender.JFROG: Post("jfrog", f"artifacts.acme.example/docker-local/acme/edge-agent:1.4.2@{A}"),
    Sender.NEXUS: Post("nexus", f"{HOST}/acme/edge-agent:1.4.2", {"X-Nexus-Webhook-Id": "rm:repository:component"}),
    Sender.ALIYUN: Post("aliyun", f"{HOST}/acme/edge-agent:1.4.2@{A}"),
    Sender.CDEVENTS: Post("cdevents", f"ghcr.io/acme/edge-agent:1.4.2@{A}"),
    Sender.GENERIC: Post("generic", f"ghcr.io/acme/edge-agent:1.4.2@{A}"),
}

_SIGNED = {
    Sender.GITHUB: [("X-Hub-Signature-256", "sha256", "sha256=")],
    Sender.GITEA: [
        ("X-Gitea-Signature", "sha256", ""),
        ("X-Forgejo-Signature", "sha256", ""),
    ],
    Sender.JFROG: [("X-JFrog-Event-Auth", "sha256", "")],
    Sender.NEXUS: [("X-Nexus-Webhook-Signature", "sha1", "")],
    Sender.GENERIC: [("X-Hub-Signature-256", "sha256", "sha256="), ("X-Signature", "sha512", "sha512=")],
}


@dataclass(frozen=True, slots=True)
class Made:
    """An endpoint as an operator made it, with the secret that was shown."""

    id: str
    number: int
    sender: Sender
    scheme: Scheme
    path: str
    secret: str

    def proven(self, body: bytes, secret: str | None = None) -> list[tuple[str, dict[str, str]]]:
        """Every way to prove it: what follows in the address, and headers."""
        key = self.secret if secret is None else secret
        match self.scheme:
            case Scheme.PATH:
                return [(f"/{key}", {})]
            case Scheme.SIGNATURE:
                return [("", {name: form + mac(key, body, how)}) for name, how, form in _SIGNED[self.sender]]
            case _:
                return [("", headers) for headers in self._carried(key)]

    def _carried(self, secret: str) -> list[dict[str, str]]:
        if self.sender is Sender.JFROG:
            return [{"X-JFrog-Event-Auth": secret}]
        password = b64encode(f"anybody:{secret}".encode()).decode()
        carried = [{"Authorization": value} for value in (secret, f"Bearer {secret}", f"Basic {password}")]
        return carried + ([{"X-API-Key": secret}] if self.sender is Sender.ECR else [])


def mac(secret: str, body: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


async def made(api: Api, sender: Sender, scheme: Scheme | None = None, **more: Any) -> Made:
    """A new endpoint."""
    wanted = {"name": "images", "sender": sender.name, "scheme": scheme and scheme.name, **more}
    created = await api.change("createWebhookEndpoint", CREATED, **wanted)
    endpoint = created["webhookEndpoint"]
    return Made(endpoint["id"], endpoint["number"], sender, Scheme[endpoint["scheme"]], endpoint["path"], created["secret"])


async def sent(api: Api, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    """What is answered to these bytes."""
    async with api.http.post(path, data=body, headers=headers) as response:
        return response.status, await (response.json() if response.content_type == "application/json" else response.text())


async def told(api: Api, endpoint: Made, body: Any, **headers: str) -> tuple[int, Any]:
    """What is answered to this, proven in the endpoint's first way."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    path, proof = endpoint.proven(data)[0]
    return await sent(api, endpoint.path + path, data, {**headers, **proof})


async def accepted(api: Api, endpoint: Made, body: Any, **headers: str) -> str:
    """The delivery that this became."""
    status, answer = await told(api, endpoint, body, **headers)
    assert status == 202, answer
    return str(answer["delivery_id"])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
