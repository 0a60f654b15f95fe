"""Who knows the secret, and who does not: defect 42 of the original."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registries.signatures import Signature, is_carried, is_secret

# The example of GitHub's “Validating webhook deliveries”.
SECRET = "It's a Secret to Everybody"
BODY = b"Hello, World!"
PROOF = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
HEADER = "x-hub-signature-256"
GITHUB = Signature(HEADER, "sha256", "sha256=")


def test_who_knows_the_secret_can_sign() -> None:
    assert GITHUB.is_on(SECRET, {HEADER: PROOF, "content-type": "application/json"}, BODY)


def test_digits_may_be_written_in_capitals() -> None:
    assert GITHUB.is_on(SECRET, {HEADER: "sha256=" + PROOF.removeprefix("sha256=").upper()}, BODY)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_a_sender_may_write_the_digits_alone(algorithm: str) -> None:
    proof = hmac.new(SECRET.encode(), BODY, algorithm).hexdigest()

    assert Signature("x", algorithm).is_on(SECRET, {"x": proof}, BODY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        *("", "sha256=", PROOF[:-1], PROOF + "0", PROOF[7:], "sha1=" + PROOF[7:], "sha256=" + "0" * 64, "sha256=" + "z" * 64),
        *("sha256=" + "é" * 64, "sha256=" + "\udcff" * 64, "\x00", PROOF + "\n", f" {PROOF}", f"{PROOF}, {PROOF}"),
    ],
)
def test_anything_else_is_no_signature(value: str) -> None:
    assert not GITHUB.is_on(SECRET, {HEADER: value}, BODY)


@pytest.mark.parametrize(
    ("secret", "headers", "body"),
    [
        (SECRET, {}, BODY),
        (SECRET, {"x-hub-signature": PROOF}, BODY),  # GitHub's SHA-1 header
        (SECRET, {HEADER: PROOF}, BODY + b" "),
        ("another", {HEADER: PROOF}, BODY),
    ],
)
def test_a_signature_is_of_these_bytes_with_this_secret_in_its_own_header(secret: str, headers: dict[str, str], body: bytes) -> None:
    assert not GITHUB.is_on(secret, headers, body)


def test_the_bytes_count_and_not_what_they_mean() -> None:
    body = b'{ "a":1.0,\n"b":"\\u0041" }'
    proof = "sha256=" + hmac.new(b"s", body, hashlib.sha256).hexdigest()

    assert GITHUB.is_on("s", {HEADER: proof}, body)


def test_no_secret_is_known_to_nobody() -> None:
    everybody = "sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest()

    assert not GITHUB.is_on("", {HEADER: everybody}, BODY)
    assert not is_secret("", "")
    assert not is_carried("", {"authorization": "Bearer "}, ["authorization"])


@pytest.mark.parametrize(("given_", "known"), [("s3cret-é", True), ("s3cret-e", False), ("s3cret", False), ("", False), ("\ud800", False)])
def test_a_secret_in_the_path_is_the_whole_secret(given_: str, known: bool) -> None:
    assert is_secret("s3cret-é", given_) is known


def basic(credentials: str) -> str:
    return base64.b64encode(credentials.encode()).decode()


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("s3cret: 1", True),
        ("Bearer s3cret: 1", True),
        ("bearer s3cret: 1", True),
        (f"Basic {basic('anybody:s3cret: 1')}", True),
        (f"basic {basic(':s3cret: 1')}", True),
        *(
            (value, False)
            for value in ("", "Bearer", "Bearer ", "Basic", "Basic %%", "Basic é", "Basic /w==", "s3cret", "Bearer s3cret", "\ud800")
        ),
        *(
            (value, False)
            for value in (f"Basic {basic('s3cret: 1')}", f"Basic {basic('s3cret: 1:')}", "Token s3cret: 1", "Bearer Bearer s3cret: 1")
        ),
    ],
)
def test_a_header_is_the_secret_or_a_token_or_a_password(value: str, known: bool) -> None:
    assert is_carried("s3cret: 1", {"authorization": value}, ["x-api-key", "authorization"]) is known
    assert not is_carried("s3cret: 1", {"authorization": value}, ["x-api-key"])


@settings(max_examples=200, deadline=None)
@given(st.text(), st.text(), st.binary())
def test_a_guess_is_answered_and_never_an_accident(secret: str, guess: str, body: bytes) -> None:
    assert is_secret(secret, guess) is (secret == guess != "")
    assert not GITHUB.is_on(secret, {HEADER: guess}, body)
    assert is_carried(secret, {"x": guess}, ["x"]) >= is_secret(secret, guess)
