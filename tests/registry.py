"""A little registry on 127.0.0.1: honest by itself, and as rude as a test wants it to be."""

import hashlib
import json
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from aiohttp import web
from aiohttp.typedefs import Handler

from domain.images import Image
from domain.registries import Credentials, Registry
from tests import signing
from tests.signing import PrivateKey

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

Json = dict[str, object]
Interrupt = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that arrived."""

    method: str
    target: str
    """Path and query."""
    authorization: str | None
    host: str
    headers: dict[str, str]

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@dataclass(frozen=True, slots=True)
class Layer:
    """A blob of a manifest, with what is noted at it."""

    media_type: str
    content: bytes
    annotations: dict[str, str] = field(default_factory=dict)


class LittleRegistry:
    """What was pushed, who asked for it, and what is said to them.

    `requests` are all that came, in order; `blobs`, `manifests` and `tags` may be changed behind its back. While `interrupt` returns a
    response, that is the answer; while `busy` holds headers, the answer is 429 with these.
    """

    def __init__(
        self, wants: Literal["bearer", "basic"] | None, credentials: Credentials | None, page: int, expires_in: int, *, referrers: bool
    ) -> None:
        self.host = ""
        self.credentials = credentials
        self.scheme = "http"
        self.requests: list[Asked] = []
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.interrupt: Interrupt | None = None
        self.busy: dict[str, str] | None = None
        self.realm: str | None = None
        """Where tokens are handed out: at /token, unless a test says otherwise."""
        self.says_digests = True
        self.tokens: dict[str, str] = {}
        """The scope of each token that is good."""
        self.wants = wants
        self._page = page
        self._expires_in = expires_in
        self._referrers = referrers
        self._numbers = count(1)

    @property
    def registry(self) -> Registry:
        """How a client knows it."""
        return Registry(self.host, self.credentials, plain_http=self.scheme == "http")

    def image(self, path: str, tag: str | None = None, digest: str | None = None) -> Image:
        """The image that is kept here under this path."""
        return Image.at(self.host, path, tag, digest)

    def asked(self, part: str = "") -> list[str]:
        """The requests whose target has this in it, as “GET /v2/…”."""
        return [str(request) for request in self.requests if part in request.target]

    # --- what is kept

    def push(self, path: str, tag: str, *, platforms: Sequence[str] = ("linux/amd64",), text: str | None = None) -> str:
        """Push an image, new each time unless `text` says what is in it; for several platforms (or none) an index. Returns its digest."""
        images = [self.image_for(path, platform, text or f"push {next(self._numbers)}") for platform in platforms]
        if len(images) == 1:
            return self.tag(path, tag, images[0])
        entries = [
            {**self.descriptor(path, image), "platform": platform_of(platform)} for image, platform in zip(images, platforms, strict=True)
        ]
        return self.tag(path, tag, self.index(path, entries))

    def image_for(self, path: str, platform: str, text: str) -> str:
        """Keep an image for one platform, without a tag."""
        config = json.dumps({**platform_of(platform), "config": {"Labels": {"text": text}}}).encode()
        return self.manifest(path, Layer(CONFIG, config), [Layer(LAYER, text.encode())])

    def manifest(self, path: str, config: Layer, layers: Sequence[Layer], **more: object) -> str:
        """Keep a manifest and its blobs."""
        said: Json = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self._blob(config), "layers": list(map(self._blob, layers))}
        return self.keep(path, MANIFEST, json.dumps(said | more).encode())

    def index(self, path: str, entries: Sequence[Json], **more: object) -> str:
        """Keep an index of manifests."""
        said: Json = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}
        return self.keep(path, INDEX, json.dumps(said | more).encode())

    def keep(self, path: str, media_type: str, content: bytes) -> str:
        """Keep a manifest, whatever it says."""
        digest = digest_of(content)
        self.manifests[path, digest] = (media_type, content)
        self.tags.setdefault(path, {})
        return digest

    def tag(self, path: str, tag: str, digest: str) -> str:
        """Let a tag mean this from now on."""
        self.tags.setdefault(path, {})[tag] = digest
        return digest

    def descriptor(self, path: str, digest: str, **annotations: str) -> Json:
        """How an index speaks of a manifest."""
        media_type, content = self.manifests[path, digest]
        return {"mediaType": media_type, "digest": digest, "size": len(content)} | ({"annotations": annotations} if annotations else {})

    def refer(self, path: str, digest: str, artifact_type: str, layers: Sequence[Layer]) -> str:
        """Push something that refers to a manifest; where the referrers API is unknown, into the list that clients keep instead."""
        subject = self.descriptor(path, digest)
        referrer = self.manifest(path, Layer(EMPTY, b"{}"), layers, artifactType=artifact_type, subject=subject)
        if not self._referrers:
            self.tag(path, digest.replace(":", "-"), self.index(path, self._referring(path, digest)))
        return referrer

    def attach(self, path: str, digest: str, suffix: str, layers: Sequence[Layer]) -> str:
        """Push something under the tag that cosign makes of a digest: sig, att."""
        return self.tag(path, f"{digest.replace(':', '-')}.{suffix}", self.manifest(path, Layer(CONFIG, b"{}"), layers))

    def push_with_attestation(self, path: str, tag: str, predicate_type: str) -> str:
        """Push an index as BuildKit makes it, with what was built beside how it was built."""
        image = self.image_for(path, "linux/amd64", f"push {next(self._numbers)}")
        statement = Layer(IN_TOTO, b'{"predicate": {}}', {"in-toto.io/predicate-type": predicate_type})
        attestation = self.manifest(path, Layer(CONFIG, b"{}"), [statement])
        notes = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image}
        entries = [
            {**self.descriptor(path, image), "platform": platform_of("linux/amd64")},
            {**self.descriptor(path, attestation, **notes), "platform": platform_of("unknown/unknown")},
        ]
        return self.tag(path, tag, self.index(path, entries))

    def sign(self, path: str, digest: str, key: PrivateKey) -> str:
        """Sign an image as cosign 2 does."""
        payload = signing.simple_signing(digest)
        note = {"dev.cosignproject.cosign/signature": signing.text(signing.signature(key, payload))}
        return self.attach(path, digest, "sig", [Layer(SIMPLE_SIGNING, payload, note)])

    def attest(self, path: str, digest: str, key: PrivateKey, predicate_type: str = signing.SLSA) -> str:
        """Say how an image was made, as cosign 2 does."""
        envelope = signing.envelope(key, signing.statement(digest, predicate_type))
        return self.attach(path, digest, "att", [Layer(DSSE, json.dumps(envelope).encode(), {"predicateType": predicate_type})])

    def bundle(self, path: str, digest: str, key: PrivateKey, predicate_type: str = signing.SIGNS) -> str:
        """Sign an image (or, with another predicate, say something about it) as cosign 3 does: by a sigstore bundle that refers to it."""
        envelope = signing.envelope(key, signing.statement(digest, predicate_type))
        return self.refer(path, digest, BUNDLE, [Layer(BUNDLE, signing.bundle(dsseEnvelope=envelope))])

    def _blob(self, layer: Layer) -> Json:
        digest = digest_of(layer.content)
        self.blobs[digest] = layer.content
        said: Json = {"mediaType": layer.media_type, "digest": digest, "size": len(layer.content)}
        return said | ({"annotations": layer.annotations} if layer.annotations else {})

    def _referring(self, path: str, digest: str) -> list[Json]:
        found = []
        for (where, referrer), (_, content) in self.manifests.items():
            said = json.loads(content)
            if where == path and said.get("subject", {}).get("digest") == digest:
                found.append({**self.descriptor(path, referrer), "artifactType": said["artifactType"]})
        return found

    # --- what is answered

    @web.middleware
    async def met(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Remember who came, and let them in if they may."""
        self.requests.append(
            Asked(request.method, request.raw_path, request.headers.get("Authorization"), request.headers["Host"], dict(request.headers))
        )
        if self.interrupt is not None and (response := await self.interrupt(request)) is not None:
            return response
        if self.busy is not None:
            return web.Response(status=429, headers=self.busy)
        if request.path != "/token" and not self._may(request):
            return self._unauthorized(request)
        return await handler(request)

    async def answer_manifest(self, request: web.Request) -> web.Response:
        path, reference = request.match_info["path"], request.match_info["reference"]
        digest = self.tags.get(path, {}).get(reference, reference)
        if (path, digest) not in self.manifests:
            return _missing("MANIFEST_UNKNOWN")
        media_type, content = self.manifests[path, digest]
        said = {"Docker-Content-Digest": digest} if self.says_digests else {}
        return web.Response(body=content, headers={"Content-Type": media_type, **said})

    async def answer_blob(self, request: web.Request) -> web.Response:
        content = self.blobs.get(request.match_info["digest"])
        return _missing("BLOB_UNKNOWN") if content is None else web.Response(body=content, content_type="application/octet-stream")

    async def answer_tags(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        if path not in self.tags:
            return _missing("NAME_UNKNOWN")
        after, most = request.query.get("last", ""), min(int(request.query.get("n", self._page)), self._page)
        left = [tag for tag in sorted(self.tags[path]) if tag > after]
        more = {"Link": f'</v2/{path}/tags/list?last={left[most - 1]}&n={most}>; rel="next"'} if len(left) > most else {}
        return web.json_response({"name": path, "tags": left[:most]}, headers=more)

    async def answer_referrers(self, request: web.Request) -> web.Response:
        if not self._referrers:
            return _missing("NOT_FOUND")
        found = self._referring(request.match_info["path"], request.match_info["digest"])
        return web.Response(text=json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}), content_type=INDEX)

    async def answer_token(self, request: web.Request) -> web.Response:
        if self.credentials is not None and request.headers.get("Authorization") != basic(self.credentials):
            return _denied()
        token = f"token-{next(self._numbers)}"
        self.tokens[token] = request.query.get("scope", "")
        return web.json_response({"token": token, "expires_in": self._expires_in})

    def _may(self, request: web.Request) -> bool:
        said = request.headers.get("Authorization", "")
        match self.wants:
            case "bearer":
                return self.tokens.get(said.removeprefix("Bearer ")) == _scope(request)
            case "basic":
                return self.credentials is not None and said == basic(self.credentials)
            case _:
                return True

    def _unauthorized(self, request: web.Request) -> web.Response:
        if self.wants == "basic":
            return _denied({"WWW-Authenticate": 'Basic realm="little, but ours"'})
        realm = self.realm or f"{self.scheme}://{self.host}/token"
        return _denied({"WWW-Authenticate": f'Bearer realm="{realm}",service="little registry",scope="{_scope(request)}"'})


@asynccontextmanager
async def registry(
    *,
    wants: Literal["bearer", "basic"] | None = None,
    credentials: Credentials | None = None,
    page: int = 100,
    expires_in: int = 300,
    referrers: bool = True,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[LittleRegistry]:
    """A registry for as long as the block runs, over plain http unless there is a certificate."""
    little = LittleRegistry(wants, credentials, page, expires_in, referrers=referrers)
    app = web.Application(middlewares=[little.met])
    app.router.add_get("/v2/{path:.+}/manifests/{reference}", little.answer_manifest)
    app.router.add_get("/v2/{path:.+}/blobs/{digest}", little.answer_blob)
    app.router.add_get("/v2/{path:.+}/tags/list", little.answer_tags)
    app.router.add_get("/v2/{path:.+}/referrers/{digest}", little.answer_referrers)
    app.router.add_get("/token", little.answer_token)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        little.host = f"127.0.0.1:{runner.addresses[0][1]}"
        little.scheme = "http" if tls is None else "https"
        yield little
    finally:
        await runner.cleanup()


def platform_of(text: str) -> Json:
    """What linux/arm/v7 is in an index."""
    os, architecture, *variant = text.split("/")
    return {"os": os, "architecture": architecture, **({"variant": variant[0]} if variant else {})}


def basic(credentials: Credentials) -> str:
    """How Basic says who one is."""
    return "Basic " + b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def _scope(request: web.Request) -> str:
    return f"repository:{request.match_info.get('path', '')}:pull"


def _missing(code: str) -> web.Response:
    return web.json_response({"errors": [{"code": code}]}, status=404)


def _denied(headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401, headers=headers)
