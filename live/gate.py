"""What stands before a registry: it hands out the tokens that the registry believes, passes all else on, and hears what it is shown."""

import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import aiohttp
import jwt
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from domain.registries import Credentials
from live.registry import Registry
from tests.registry import basic

SERVICE, ISSUER = "edge registry", "gate"


@dataclass(frozen=True, slots=True)
class Heard:
    """What somebody showed at the gate."""

    who: str
    """The first word of its User-Agent."""
    path: str
    proof: str
    """Basic, Bearer or nothing."""


class Gate:
    """Knows one name and its password."""

    def __init__(self, addr: str, credentials: Credentials, http: aiohttp.ClientSession) -> None:
        self.heard: list[Heard] = []
        self.scopes: list[str] = []
        self._addr, self._credentials, self._http = addr, credentials, http
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = _self_signed(self._key)

    async def answer(self, request: web.Request) -> web.Response:
        """Note what is shown, and answer it or have it answered."""
        headers = request.headers
        proof = headers.get("Authorization", "").partition(" ")[0]
        self.heard.append(Heard(headers.get("User-Agent", "").partition("/")[0], request.path, proof))
        return self._token(request) if request.path == "/token" else await self._passed_on(request)

    def _token(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != basic(self._credentials):
            return web.json_response({"details": "incorrect username or password"}, status=401)
        scopes = request.query.getall("scope", [])
        self.scopes += scopes
        chain = [base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()]
        return web.json_response({"token": jwt.encode(self._claims(scopes), self._key, "RS256", {"x5c": chain}), "expires_in": 300})

    def _claims(self, scopes: list[str]) -> dict[str, object]:
        now = int(time.time())
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        said = {"iss": ISSUER, "sub": self._credentials.username, "aud": SERVICE, "jti": uuid4().hex, "access": access}
        return {**said, "iat": now, "nbf": now - 10, "exp": now + 300}

    async def _passed_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        async with self._http.request(
            request.method, f"http://{self._addr}{request.path_qs}", headers=request.headers, data=body, allow_redirects=False
        ) as answer:
            headers = {name: value for name, value in answer.headers.items() if name != "Transfer-Encoding"}
            return web.Response(status=answer.status, headers=headers, body=await answer.read())


@asynccontextmanager
async def a_gate(registry: Registry, credentials: Credentials) -> AsyncIterator[Gate]:
    """Stand before a registry that is not started yet; from here on it has the gate's address."""
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        gate = Gate(registry.host, credentials, http)
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", gate.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            registry.host = f"127.0.0.1:{runner.addresses[0][1]}"
            _let_in_by(gate, registry)
            yield gate
        finally:
            await runner.cleanup()


def _let_in_by(gate: Gate, registry: Registry) -> None:
    bundle: Path = registry.directory / "gate.pem"
    bundle.write_bytes(gate.certificate.public_bytes(Encoding.PEM))
    realm = f"http://{registry.host}/token"
    registry.wants(token={"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(bundle)})


def _self_signed(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ISSUER)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )
    return made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, SHA256())
