"""POST /api/v1/webhooks/docker-registry: registries say what was pushed."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.actors import Actor
from domain.errors import Forbidden, Unauthenticated
from domain.images import Push
from registries import signatures, webhooks
from resolvers import images
from resolvers.images import Decision
from server.bodies import inflated
from server.wiring import Wiring


async def receive(request: Request) -> Response:
    """202 with what was started, 200 when there is nothing to do, 400 with the reason when the body makes no sense."""
    body = await request.body()
    _authenticate(request, body)
    received = webhooks.read(
        {name.lower(): value for name, value in request.headers.items()}, inflated(body, request.headers.get("content-encoding", ""))
    )
    pushes = [Push(image, received.sender) for image in received.images]
    decisions = [decision for push in pushes for decision in await _record(request, push)]
    started = any(decision.started for decision in decisions)
    return JSONResponse(_told(decisions, started), 202 if started else 200)


async def _record(request: Request, push: Push) -> list[Decision]:
    return await images.record_push(Wiring.of(request).context(Actor(f"webhook {push.sender}")), push)


def _authenticate(request: Request, body: bytes) -> None:
    secret = Wiring.of(request).settings.webhook_secret
    if secret is None:
        raise Forbidden("webhooks are off: the server has no ROLLWAVE_WEBHOOK_SECRET")
    in_path = request.path_params.get("secret")
    if in_path is not None:
        if not signatures.is_secret(secret, in_path):
            raise Unauthenticated("the secret in the path is wrong")
    elif not webhooks.is_authentic_for_any(secret, {name.lower(): value for name, value in request.headers.items()}, body):
        raise Unauthenticated("sign the body (X-Hub-Signature-256: sha256=<HMAC of the raw body>) or put the secret at the end of the path")


def _told(decisions: list[Decision], started: bool) -> dict[str, object]:
    return {
        "message": "rollout started" if started else "nothing to do",
        "decisions": [
            {
                "image": decision.image,
                "policy_id": decision.policy_id and str(decision.policy_id),
                "rollout_id": decision.rollout_id and str(decision.rollout_id),
                "decision": decision.decision,
            }
            for decision in decisions
        ],
    }


routes = [
    Route("/api/v1/webhooks/docker-registry", receive, methods=["POST"]),
    Route("/api/v1/webhooks/docker-registry/{secret}", receive, methods=["POST"]),
]
