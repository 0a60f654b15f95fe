"""What cosign, sigstore and BuildKit write about an image, made with real keys."""

import json
from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP384R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey

SLSA = "https://slsa.dev/provenance/v1"
SIGNS = "https://sigstore.dev/cosign/sign/v1"
IN_TOTO = "application/vnd.in-toto+json"


def pem(key: PrivateKey) -> str:
    """The public half of a key, as one writes it into a policy."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signature(key: PrivateKey, message: bytes, *, is_new: bool = True) -> bytes:
    """As cosign signs: with P-384 it takes SHA-384, and took SHA-256 when it was older."""
    match key:
        case Ed25519PrivateKey():
            return key.sign(message)
        case RSAPrivateKey():
            return key.sign(message, PKCS1v15(), SHA256())
        case EllipticCurvePrivateKey():
            return key.sign(message, ECDSA(SHA384() if is_new and isinstance(key.curve, SECP384R1) else SHA256()))


def simple_signing(digest: str) -> bytes:
    """The payload that cosign 1 and 2 sign."""
    image = {"docker-manifest-digest": digest}
    critical = {"identity": {"docker-reference": ""}, "image": image, "type": "cosign container image signature"}
    return json.dumps({"critical": critical, "optional": None}).encode()


def statement(digest: str, predicate_type: str = SLSA) -> bytes:
    """An in-toto statement about an image."""
    algorithm, _, value = digest.partition(":")
    subject = [{"name": "image", "digest": {algorithm: value}}]
    said = {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": predicate_type, "predicate": {}}
    return json.dumps(said).encode()


def envelope(key: PrivateKey, payload: bytes, payload_type: str = IN_TOTO) -> dict[str, object]:
    """DSSE."""
    signed = b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)
    return {"payload": text(payload), "payloadType": payload_type, "signatures": [{"keyid": "", "sig": text(signature(key, signed))}]}


def bundle(**content: object) -> bytes:
    """A sigstore bundle, whose verification material is of no use to somebody with a key."""
    said = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {"publicKey": {"hint": ""}}, **content}
    return json.dumps(said).encode()


def message_signature(key: PrivateKey, message: bytes, digest: str) -> dict[str, object]:
    """The signature of some bytes, of which the bundle holds only the digest."""
    hashed = {"algorithm": "SHA2_256", "digest": text(bytes.fromhex(digest.partition(":")[2]))}
    return {"messageDigest": hashed, "signature": text(signature(key, message))}


def text(content: bytes) -> str:
    return b64encode(content).decode()
