"""POST /api/v1/webhooks/…: registries say what was pushed. It is kept, and decided afterwards."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.actors import Actor
from domain.endpoints import Endpoint
from domain.errors import Forbidden, NotFound, Unauthenticated
from domain.ids import EndpointId
from registries import signatures, webhooks
from resolvers import deliveries, endpoints
from resolvers.context import Context
from resolvers.endpoints import Proof
from server.bodies import inflated
from server.wiring import Wiring


async def shared(request: Request) -> Response:
    """The address that all senders share; which of them it is shows in what they post."""
    proof = await _proof(request)
    _check_secret(Wiring.of(request).settings.webhook_secret, proof)
    return await _receive(request, proof, None)


async def of_endpoint(request: Request) -> Response:
    """The address of one sender, made by an operator."""
    sender, number = request.path_params["sender"], request.path_params["endpoint"]
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise NotFound("there is no such endpoint")
    proof = await _proof(request)
    return await _receive(request, proof, await endpoints.let_in(_context(request, sender), sender, EndpointId(int(number)), proof))


async def _receive(request: Request, proof: Proof, endpoint: Endpoint | None) -> Response:
    """202 once it is kept, 200 for what tells of no push, 400 with the reason for what makes no sense."""
    await Wiring.of(request).limits.check("shared" if endpoint is None else str(endpoint.id))
    body = inflated(proof.body, proof.headers.get("content-encoding", ""))
    received = webhooks.read(
        proof.headers, body, sender=endpoint.sender if endpoint else None, default_host=endpoint.default_host if endpoint else None
    )
    if not received.images:
        return JSONResponse({"message": "nothing to do"})
    receipt = await deliveries.receive(_context(request, received.sender), received, endpoint, proof.headers, body)
    return JSONResponse(
        {
            "message": "accepted" if receipt.is_new else "known already",
            "delivery_id": str(receipt.id),
            "images": [str(image) for image in received.images[:100]],
        },
        202,
    )


def _context(request: Request, sender: str) -> Context:
    return Wiring.of(request).context(Actor(f"webhook {sender}"))


async def _proof(request: Request) -> Proof:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Proof(headers, await request.body(), request.path_params.get("secret"))


def _check_secret(secret: str | None, proof: Proof) -> None:
    if secret is None:
        raise Forbidden("webhooks are off: the server has no ROLLWAVE_WEBHOOK_SECRET")
    if proof.in_path is not None:
        if not signatures.is_secret(secret, proof.in_path):
            raise Unauthenticated("the secret in the path is wrong")
    elif not webhooks.is_authentic_for_any(secret, proof.headers, proof.body):
        raise Unauthenticated("sign the body (X-Hub-Signature-256: sha256=<HMAC of the raw body>) or put the secret at the end of the path")


routes = [
    Route("/api/v1/webhooks/docker-registry", shared, methods=["POST"]),
    Route("/api/v1/webhooks/docker-registry/{secret}", shared, methods=["POST"]),
    Route("/api/v1/webhooks/{sender}/{endpoint}", of_endpoint, methods=["POST"]),
    Route("/api/v1/webhooks/{sender}/{endpoint}/{secret}", of_endpoint, methods=["POST"]),
]
