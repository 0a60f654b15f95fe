"""How each sender proves who it is: rightly, wrongly, not at all, and over other bytes."""

import base64
import hmac

import pytest

from domain.endpoints import Scheme, Sender
from registries.webhooks import is_authentic, is_authentic_for_any, schemes

SECRET = "correct horse: battery"
BODY = b'{"a": 1}'
SIGNATURE, HEADER, PATH, OIDC = Scheme.SIGNATURE, Scheme.HEADER, Scheme.PATH, Scheme.OIDC


def made(algorithm: str, secret: str = SECRET, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


SIGNED = [
    (Sender.GITHUB, "x-hub-signature-256", "sha256", "sha256="),
    (Sender.GITEA, "x-gitea-signature", "sha256", ""),
    (Sender.GITEA, "x-forgejo-signature", "sha256", ""),
    (Sender.GITEA, "x-hub-signature-256", "sha256", "sha256="),
    (Sender.JFROG, "x-jfrog-event-auth", "sha256", ""),
    (Sender.NEXUS, "x-nexus-webhook-signature", "sha1", ""),
    (Sender.GENERIC, "x-hub-signature-256", "sha256", "sha256="),
    (Sender.GENERIC, "x-signature-256", "sha256", "sha256="),
    (Sender.GENERIC, "x-signature", "sha256", "sha256="),
    (Sender.GENERIC, "x-signature", "sha512", "sha512="),
]
AUTHORIZED = (Sender.HARBOR, Sender.GITLAB, Sender.DISTRIBUTION, Sender.AZURE, Sender.ECR, Sender.GITEA, Sender.CDEVENTS, Sender.GENERIC)
CARRIED = [
    *((sender, "authorization") for sender in AUTHORIZED),
    (Sender.ECR, "x-api-key"),
    (Sender.ECR, "x-webhook-secret"),
    (Sender.JFROG, "x-jfrog-event-auth"),
]


@pytest.mark.parametrize(
    ("sender", "able"),
    [
        (Sender.DOCKER_HUB, (PATH,)),
        (Sender.GITHUB, (SIGNATURE, PATH)),
        (Sender.QUAY, (PATH,)),
        (Sender.HARBOR, (HEADER, PATH)),
        (Sender.GITLAB, (HEADER, PATH)),
        (Sender.DISTRIBUTION, (HEADER, PATH)),
        (Sender.AZURE, (HEADER, PATH)),
        (Sender.ECR, (HEADER, PATH)),
        (Sender.GOOGLE, (OIDC, PATH)),
        (Sender.GITEA, (SIGNATURE, HEADER, PATH)),
        (Sender.JFROG, (SIGNATURE, HEADER, PATH)),
        (Sender.NEXUS, (SIGNATURE, PATH)),
        (Sender.ALIYUN, (PATH,)),
        (Sender.CDEVENTS, (HEADER, PATH)),
        (Sender.GENERIC, (SIGNATURE, HEADER, PATH)),
    ],
)
def test_each_sender_has_its_ways_the_best_first(sender: Sender, able: tuple[Scheme, ...]) -> None:
    assert schemes(sender) == able


@pytest.mark.parametrize(("sender", "header", "algorithm", "prefix"), SIGNED)
def test_a_signature_is_of_these_bytes_with_this_secret(sender: Sender, header: str, algorithm: str, prefix: str) -> None:
    right = {header: prefix + made(algorithm)}

    assert is_authentic(sender, SIGNATURE, SECRET, right, BODY)
    assert is_authentic_for_any(SECRET, right, BODY)
    for secret, headers, body in [
        (SECRET, right, BODY + b" "),
        (SECRET, right, b'{"a":1}'),
        ("wrong", right, BODY),
        ("", right, BODY),
        (SECRET, {}, BODY),
        (SECRET, {header: ""}, BODY),
        (SECRET, {header: (prefix + made(algorithm))[:-1]}, BODY),
        (SECRET, {header: prefix + made("sha384")}, BODY),
        (SECRET, {header: "sha1=" + made("sha1")}, BODY),
        (SECRET, {"x-hub-signature": prefix + made(algorithm)}, BODY),
        (SECRET, {header: SECRET if sender != Sender.JFROG else ""}, BODY),
    ]:
        assert not is_authentic(sender, SIGNATURE, secret, headers, body)
        assert not is_authentic_for_any(secret, headers, body)


@pytest.mark.parametrize("sender", Sender)
def test_a_sender_has_only_the_signatures_and_headers_of_its_own(sender: Sender) -> None:
    for _, header, algorithm, prefix in SIGNED:
        is_its_own = (sender, header, algorithm, prefix) in SIGNED
        assert is_authentic(sender, SIGNATURE, SECRET, {header: prefix + made(algorithm)}, BODY) is is_its_own
    for _, header in CARRIED:
        assert is_authentic(sender, HEADER, SECRET, {header: SECRET}, BODY) is ((sender, header) in CARRIED)


@pytest.mark.parametrize(("sender", "header"), CARRIED)
def test_a_header_is_the_secret(sender: Sender, header: str) -> None:
    basic = "Basic " + base64.b64encode(f"registry:{SECRET}".encode()).decode()

    for right in (SECRET, f"Bearer {SECRET}", basic):
        assert is_authentic(sender, HEADER, SECRET, {header: right}, BODY)
        assert is_authentic_for_any(SECRET, {header: right}, BODY)
    for wrong in ("", "wrong", SECRET[:-1], f"Bearer {SECRET}x", f"Bearer {basic}", made("sha384")):
        assert not is_authentic(sender, HEADER, SECRET, {header: wrong}, BODY)
        assert not is_authentic_for_any(SECRET, {header: wrong}, BODY)
    assert not is_authentic(sender, HEADER, SECRET, {}, BODY)
    assert not is_authentic(sender, HEADER, "", {header: ""}, BODY)
    assert not is_authentic(sender, SIGNATURE, SECRET, {header: SECRET}, BODY)


@pytest.mark.parametrize("scheme", [PATH, OIDC])
@pytest.mark.parametrize("sender", Sender)
def test_paths_and_tokens_are_not_looked_at_here(sender: Sender, scheme: Scheme) -> None:
    headers = {"authorization": SECRET, "x-hub-signature-256": "sha256=" + made("sha256")}

    assert not is_authentic(sender, scheme, SECRET, headers, BODY)
