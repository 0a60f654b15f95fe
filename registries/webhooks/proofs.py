"""How each sender can prove who it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.endpoints import Scheme, Sender
from registries.signatures import Signature, is_carried

_GITHUB = Signature("x-hub-signature-256", "sha256", "sha256=")


@dataclass(frozen=True, slots=True)
class _Proofs:
    """The forms a sender has for a signature, the headers in which it can be told to send a secret, and what else it can do."""

    signatures: tuple[Signature, ...] = ()
    headers: tuple[str, ...] = ()
    signs_tokens: bool = False


_AUTHORIZATION = ("authorization",)
_PROOFS = {
    Sender.DOCKER_HUB: _Proofs(),
    Sender.GITHUB: _Proofs((_GITHUB,)),
    Sender.QUAY: _Proofs(),
    Sender.HARBOR: _Proofs(headers=_AUTHORIZATION),
    Sender.GITLAB: _Proofs(headers=_AUTHORIZATION),
    Sender.DISTRIBUTION: _Proofs(headers=_AUTHORIZATION),
    Sender.AZURE: _Proofs(headers=_AUTHORIZATION),
    Sender.ECR: _Proofs(headers=("authorization", "x-api-key", "x-webhook-secret")),
    Sender.GOOGLE: _Proofs(signs_tokens=True),
    Sender.GITEA: _Proofs((Signature("x-gitea-signature"), Signature("x-forgejo-signature"), _GITHUB), _AUTHORIZATION),
    Sender.JFROG: _Proofs((Signature("x-jfrog-event-auth"),), ("x-jfrog-event-auth",)),
    Sender.NEXUS: _Proofs((Signature("x-nexus-webhook-signature", "sha1"),)),
    Sender.ALIYUN: _Proofs(),
    Sender.CDEVENTS: _Proofs(headers=_AUTHORIZATION),
    Sender.GENERIC: _Proofs(
        (
            _GITHUB,
            Signature("x-signature-256", "sha256", "sha256="),
            Signature("x-signature", "sha256", "sha256="),
            Signature("x-signature", "sha512", "sha512="),
        ),
        _AUTHORIZATION,
    ),
}


def schemes(sender: Sender) -> tuple[Scheme, ...]:
    """What a sender can do, the best first. Every address can end in a secret."""
    proofs = _PROOFS[sender]
    can = ((Scheme.SIGNATURE, proofs.signatures), (Scheme.OIDC, proofs.signs_tokens), (Scheme.HEADER, proofs.headers), (Scheme.PATH, True))
    return tuple(scheme for scheme, able in can if able)


def is_authentic(sender: Sender, scheme: Scheme, secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a signature or a header shows that the sender knows the secret. Paths and tokens are not looked at here."""
    proofs = _PROOFS[sender]
    match scheme:
        case Scheme.SIGNATURE:
            return any(signature.is_on(secret, headers, body) for signature in proofs.signatures)
        case Scheme.HEADER:
            return is_carried(secret, headers, proofs.headers)
        case _:
            return False


def is_authentic_for_any(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether any sender would prove with this that it knows the secret: for the address that all share."""
    return any(is_authentic(sender, scheme, secret, headers, body) for sender in Sender for scheme in (Scheme.SIGNATURE, Scheme.HEADER))
