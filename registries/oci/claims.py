"""What signatures and attestations claim about an image, and whether that is enough."""

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from domain.provenance import Proof, ProvenanceSettings, PublicKey, public_key

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"
COSIGN_SIGNATURE = "dev.cosignproject.cosign/signature"
SIGNS = "https://sigstore.dev/cosign/sign/v1"
"""The predicate of an in-toto statement that is a signature and nothing else: what cosign 3 makes."""
_MOST_SIGNATURES = 50

_Check = Callable[[bytes, bytes], None]


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody says something about images, and may have signed it."""

    what: str
    proof: Proof | None
    """None: it cannot be told which it was meant to be."""
    subjects: frozenset[str] = frozenset()
    """The digests of the images it is about."""
    predicate_type: str | None = None
    signed: bytes | None = field(default=None, repr=False)
    """The bytes that the signatures are of; None: the image's manifest itself."""
    signatures: tuple[bytes, ...] = field(default=(), repr=False)
    is_unreadable: bool = False


def objection(claim: Claim, digest: str, manifest: bytes, settings: ProvenanceSettings) -> str | None:
    """Why a claim is not enough for the image with this digest and manifest, or None if it is."""
    if claim.is_unreadable:
        return "cannot be read"
    if settings.predicate_type not in (None, claim.predicate_type):
        return f"is about {_shown(claim.predicate_type or 'nothing')}, not {settings.predicate_type}"
    if digest not in claim.subjects:
        return "is for another image"
    if not claim.signatures and (claim.proof is Proof.SIGNATURE or settings.public_key is not None):
        return "is not signed"
    return None if settings.public_key is None else _unfit(claim, manifest, public_key(settings.public_key))


def _unfit(claim: Claim, manifest: bytes, key: PublicKey) -> str | None:
    signed = manifest if claim.signed is None else claim.signed
    if any(fits(key, signature, signed) for signature in claim.signatures):
        return None
    return "does not fit the configured key: it was made with another, or changed since"


def fits(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether this key made this signature of these bytes."""
    return any(_verifies(check, signature, message) for check in _checks(key))


def _checks(key: PublicKey) -> list[_Check]:
    """The ways in which cosign signs with such a key; for P-384 it took SHA-256 first and SHA-384 later."""
    match key:
        case Ed25519PublicKey():
            return [key.verify]
        case RSAPublicKey():
            return [partial(key.verify, padding=PKCS1v15(), algorithm=SHA256())]
        case EllipticCurvePublicKey():
            hashes = [SHA256(), SHA384()] if isinstance(key.curve, SECP384R1) else [SHA256()]
            return [partial(key.verify, signature_algorithm=ECDSA(hashed)) for hashed in hashes]
    assert_never(key)


def _verifies(check: _Check, signature: bytes, message: bytes) -> bool:
    try:
        check(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


# --- how claims are written


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class _SignedImage(_Written):
    digest: str = Field(alias="docker-manifest-digest")


class _Critical(_Written):
    image: _SignedImage


class _SimpleSigning(_Written):
    critical: _Critical


class _Signature(_Written):
    sig: str


class _Envelope(_Written):
    payload: str
    payload_type: str
    signatures: list[_Signature]


class _Subject(_Written):
    digest: dict[str, str]


class _Statement(_Written):
    type: str = Field(alias="_type", pattern="^https://in-toto.io/Statement/v(0.1|1)$")
    subject: list[_Subject]
    predicate_type: str


class _MessageDigest(_Written):
    algorithm: str
    digest: str


class _MessageSignature(_Written):
    message_digest: _MessageDigest
    signature: str


class _Bundle(_Written):
    message_signature: _MessageSignature | None = None
    dsse_envelope: _Envelope | None = None


def read(media_type: str, content: bytes, cosign_signature: str | None) -> Claim:
    """The claim that a blob of this type makes; `cosign_signature` is what cosign notes beside it."""
    try:
        return _READERS[media_type](content, cosign_signature)
    except ValueError:  # pydantic's and base64's are such
        return Claim("something that looks like one", None, is_unreadable=True)


def _simple_signing(content: bytes, cosign_signature: str | None) -> Claim:
    """What cosign 1 and 2 sign, after the manner of Red Hat: a document that names the image."""
    said = _SimpleSigning.model_validate_json(content)
    signatures = () if cosign_signature is None else (_decoded(cosign_signature),)
    return Claim("a cosign signature", Proof.SIGNATURE, frozenset({said.critical.image.digest}), None, content, signatures)


def _dsse(content: bytes, _: str | None) -> Claim:
    return _of_envelope(_Envelope.model_validate_json(content))


def _in_toto(content: bytes, _: str | None) -> Claim:
    return _of_statement(content)


def _bundle(content: bytes, _: str | None) -> Claim:
    said = _Bundle.model_validate_json(content)
    if said.dsse_envelope is not None:
        return _of_envelope(said.dsse_envelope)
    if said.message_signature is None or said.message_signature.message_digest.algorithm != "SHA2_256":
        return Claim("a sigstore bundle", None, is_unreadable=True)
    subject = f"sha256:{_decoded(said.message_signature.message_digest.digest).hex()}"
    return Claim("a sigstore signature", Proof.SIGNATURE, frozenset({subject}), signatures=(_decoded(said.message_signature.signature),))


def _of_envelope(envelope: _Envelope) -> Claim:
    """A statement in an envelope (https://github.com/secure-systems-lab/dsse)."""
    if envelope.payload_type != IN_TOTO:
        return Claim("an envelope", None, is_unreadable=True)
    payload = _decoded(envelope.payload)
    claim = _of_statement(payload)
    signatures = tuple(_decoded(signature.sig) for signature in envelope.signatures[:_MOST_SIGNATURES])
    return Claim(claim.what, claim.proof, claim.subjects, claim.predicate_type, pae(envelope.payload_type, payload), signatures)


def _of_statement(content: bytes) -> Claim:
    said = _Statement.model_validate_json(content)
    subjects = frozenset(f"{algorithm}:{value}" for subject in said.subject for algorithm, value in subject.digest.items())
    if said.predicate_type == SIGNS:
        return Claim("a sigstore signature", Proof.SIGNATURE, subjects, said.predicate_type)
    return Claim(f"an attestation ({_shown(said.predicate_type)})", Proof.ATTESTATION, subjects, said.predicate_type)


def pae(payload_type: str, payload: bytes) -> bytes:
    """What DSSE signs: the type and the payload, each with its length before it."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _decoded(text: str) -> bytes:
    """Base64, of either alphabet."""
    return b64decode(text.translate(str.maketrans("-_", "+/")), validate=True)


def _shown(text: str) -> str:
    """A stranger's text as it may stand in a sentence."""
    return ascii(text if len(text) <= 100 else f"{text[:100]}...")[1:-1]


_READERS: dict[str, Callable[[bytes, str | None], Claim]] = {
    SIMPLE_SIGNING: _simple_signing,
    DSSE: _dsse,
    BUNDLE: _bundle,
    IN_TOTO: _in_toto,
}
