"""Whether an image comes with what its policy wants: signatures and attestations, wherever a registry keeps them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from domain.images import Image
from domain.provenance import Evidence, Proof, ProvenanceSettings
from domain.registries import Registry
from registries.oci.claims import BUNDLE, COSIGN_SIGNATURE, DSSE, IN_TOTO, SIMPLE_SIGNING, Claim, objection, read
from registries.oci.client import Client
from registries.oci.contents import Kept
from registries.oci.manifests import Descriptor
from registries.oci.wire import MOST_READ

MOST_LOOKED_AT = 50
"""Claims of one image; and as many things that refer to it."""
_MOST_SAID = 3
_KINDS = {SIMPLE_SIGNING, DSSE, BUNDLE, IN_TOTO}
# What a referrer says it is; an old list of referrers may not say.
_COSIGN = {"application/vnd.dev.cosign.artifact.sig.v1+json", "application/vnd.dev.cosign.artifact.att.v1+json"}
_ARTIFACTS = {None, DSSE, BUNDLE, IN_TOTO, *_COSIGN}
_TAGS = {Proof.SIGNATURE: "sig", Proof.ATTESTATION: "att"}


async def evidence(client: Client, registry: Registry, image: Image, settings: ProvenanceSettings) -> Evidence:
    """Look for what the policy wants until something is enough; raises Unanswered when the registry does not let us look."""
    if image.digest is None:
        return Evidence(False, "without a digest nobody can say which image a signature is of")
    kept = await client.manifest(registry, image.repository, image.digest)
    if kept is None:
        return Evidence(False, "the registry does not have this image")
    return await _weighed(_Search(client, registry, image.repository, image.digest, kept), settings)


@dataclass(frozen=True, slots=True)
class _Search:
    """Where we look, and for what."""

    client: Client
    registry: Registry
    repository: str
    digest: str
    image: Kept

    async def claims(self, proof: Proof) -> AsyncGenerator[Claim, None]:
        """What may be a claim of this kind: under cosign's tag, among the referrers, inside the index."""
        attached = await self._manifest(f"{self.digest.replace(':', '-')}.{_TAGS[proof]}")
        for layer in _layers(attached):
            yield await self._claim(layer)
        for referrer in await self._referrers():
            for layer in _layers(await self._manifest(referrer.digest)):
                yield await self._claim(layer)
        if proof is Proof.ATTESTATION:
            for claim in await self._inside():
                yield claim

    async def _referrers(self) -> list[Descriptor]:
        found = await self.client.referrers(self.registry, self.repository, self.digest)
        return [referrer for referrer in found if referrer.artifact_type in _ARTIFACTS][:MOST_LOOKED_AT]

    async def _inside(self) -> list[Claim]:
        """What BuildKit says in the index about images there. The image's digest covers it; nobody's signature does."""
        entries = self.image.manifest.manifests or []
        known = {entry.digest for entry in entries}
        about = [entry for entry in entries if entry.is_attestation and entry.annotation("vnd.docker.reference.digest") in known]
        found = [layer for entry in about[:MOST_LOOKED_AT] for layer in _layers(await self._manifest(entry.digest))]
        return [self._built(layer.annotation("in-toto.io/predicate-type")) for layer in found if layer.media_type == IN_TOTO]

    def _built(self, predicate_type: str | None) -> Claim:
        return Claim("an attestation inside the image's index", Proof.ATTESTATION, frozenset({self.digest}), predicate_type)

    async def _claim(self, layer: Descriptor) -> Claim:
        if layer.size > MOST_READ:
            return Claim("something of more than 4 MB", None, is_unreadable=True)
        content = await self.client.blob(self.registry, self.repository, layer.digest)
        return read(layer.media_type, content, layer.annotation(COSIGN_SIGNATURE))

    async def _manifest(self, reference: str) -> Kept | None:
        return await self.client.manifest(self.registry, self.repository, reference)


async def _weighed(search: _Search, settings: ProvenanceSettings) -> Evidence:
    objections: list[str] = []
    looked_at = 0
    async with aclosing(search.claims(settings.require)) as claims:
        async for claim in claims:
            if claim.proof in (settings.require, None):
                why_not = objection(claim, search.digest, search.image.content, settings)
                if why_not is None:
                    return Evidence(True, _enough(claim, settings))
                objections.append(f"{claim.what} {why_not}")
            looked_at += 1
            if looked_at == MOST_LOOKED_AT:
                objections.append(f"only the first {MOST_LOOKED_AT} were looked at")
                break
    return Evidence(False, _not_enough(objections, settings))


def _enough(claim: Claim, settings: ProvenanceSettings) -> str:
    """What was verified, and what was not."""
    if settings.public_key is None:
        return f"{_any(settings.require)} exists; it was not verified, since the policy has no key"
    unread = "what it says, " if settings.require is Proof.ATTESTATION else ""
    return f"{claim.what} made with the configured key; not checked: {unread}who holds the key, the transparency log"


def _not_enough(objections: list[str], settings: ProvenanceSettings) -> str:
    if not objections:
        return f"no {settings.require} of this image was found"
    said = list(dict.fromkeys(objections))
    return f"no {settings.require} of this image is enough: " + "; ".join(said[:_MOST_SAID] + ["…"] * (len(said) > _MOST_SAID))


def _any(proof: Proof) -> str:
    return "a signature" if proof is Proof.SIGNATURE else "an attestation"


def _layers(kept: Kept | None) -> list[Descriptor]:
    """Those blobs of a manifest that may be claims."""
    layers = kept.manifest.layers if kept is not None else None
    return [layer for layer in layers or [] if layer.media_type in _KINDS]
