"""What must be known of where an image comes from before devices get it, and what was found."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

_FEWEST_RSA_BITS = 2048
_MOST_RSA_BITS = 16_384


class Proof(StrEnum):
    """What must be there: somebody's signature of the image, or somebody's word about how it was made."""

    SIGNATURE = "signature"
    ATTESTATION = "attestation"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Whether what was found is enough, and a sentence that says what was verified and what was not."""

    is_enough: bool
    why: str


@lru_cache(maxsize=1024)
def public_key(pem: str) -> PublicKey:
    """The key that is written here; raises ValueError, which says what may be written."""
    if "PRIVATE KEY" in pem:
        raise ValueError("this is a private key, which nobody but its owner should have; give the public key that belongs to it")
    try:
        key = load_pem_public_key(pem.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("this is no public key; write one in PEM, with the lines BEGIN PUBLIC KEY and END PUBLIC KEY") from None
    match key:
        case Ed25519PublicKey():
            return key
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1 | SECP384R1):
            return key
        case RSAPublicKey() if _FEWEST_RSA_BITS <= key.key_size <= _MOST_RSA_BITS:
            return key
    raise ValueError("a key is ECDSA with P-256 or P-384, Ed25519, or RSA with at least 2048 bits; this one is not")


def _key(pem: str) -> str:
    public_key(pem)
    return pem


class ProvenanceSettings(BaseModel):
    """What an image must come with. Without a key it is enough that it is there, whoever made it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    require: Proof
    public_key: Annotated[str, Field(max_length=10_000), AfterValidator(_key)] | None = None
    """The key it must be made with, in PEM: ECDSA with P-256 or P-384, Ed25519, or RSA with at least 2048 bits."""
    predicate_type: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """What an attestation must be about, such as https://slsa.dev/provenance/v1; null is anything."""

    @model_validator(mode="after")
    def _only_attestations_have_predicates(self) -> Self:
        if self.predicate_type is not None and self.require is not Proof.ATTESTATION:
            raise ValueError("predicate_type is for attestations; a signature has none")
        return self
