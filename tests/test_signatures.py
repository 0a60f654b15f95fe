"""Who knows the secret, and who does not: defect 42 of the original."""

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registries.signatures import is_secret, is_signed

# The example of GitHub's “Validating webhook deliveries”.
SECRET = "It's a Secret to Everybody"
BODY = b"Hello, World!"
PROOF = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


@pytest.mark.parametrize("header", ["x-hub-signature-256", "x-signature-256", "x-signature"])
def test_who_knows_the_secret_can_sign(header: str) -> None:
    assert is_signed(SECRET, {header: PROOF, "content-type": "application/json"}, BODY)


def test_digits_may_be_written_in_capitals() -> None:
    assert is_signed(SECRET, {"x-signature": "sha256=" + PROOF.removeprefix("sha256=").upper()}, BODY)


def test_one_good_signature_is_enough() -> None:
    assert is_signed(SECRET, {"x-hub-signature-256": "sha256=00", "x-signature": PROOF}, BODY)


@pytest.mark.parametrize(
    "value",
    [
        *("", "sha256=", PROOF[:-1], PROOF + "0", PROOF[7:], "sha1=" + PROOF[7:], "sha256=" + "0" * 64, "sha256=" + "z" * 64),
        *("sha256=" + "é" * 64, "sha256=" + "\udcff" * 64, "\x00", PROOF + "\n", f" {PROOF}", f"{PROOF}, {PROOF}"),
    ],
)
def test_anything_else_is_no_signature(value: str) -> None:
    assert not is_signed(SECRET, {"x-hub-signature-256": value}, BODY)


@pytest.mark.parametrize(
    ("secret", "headers", "body"),
    [
        (SECRET, {}, BODY),
        (SECRET, {"x-hub-signature": PROOF}, BODY),  # GitHub's SHA-1 header
        (SECRET, {"x-hub-signature-256": PROOF}, BODY + b" "),
        ("another", {"x-hub-signature-256": PROOF}, BODY),
    ],
)
def test_a_signature_is_of_these_bytes_with_this_secret_in_its_own_header(secret: str, headers: dict[str, str], body: bytes) -> None:
    assert not is_signed(secret, headers, body)


def test_the_bytes_count_and_not_what_they_mean() -> None:
    body = b'{ "a":1.0,\n"b":"\\u0041" }'
    proof = "sha256=" + hmac.new(b"s", body, hashlib.sha256).hexdigest()

    assert is_signed("s", {"x-hub-signature-256": proof}, body)


def test_no_secret_is_known_to_nobody() -> None:
    everybody = "sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest()

    assert not is_signed("", {"x-hub-signature-256": everybody}, BODY)
    assert not is_secret("", "")


@pytest.mark.parametrize(("given_", "known"), [("s3cret-é", True), ("s3cret-e", False), ("s3cret", False), ("", False), ("\ud800", False)])
def test_a_secret_in_the_path_is_the_whole_secret(given_: str, known: bool) -> None:
    assert is_secret("s3cret-é", given_) is known


@settings(max_examples=200, deadline=None)
@given(st.text(), st.text(), st.binary())
def test_a_guess_is_answered_and_never_an_accident(secret: str, guess: str, body: bytes) -> None:
    assert is_secret(secret, guess) is (secret == guess != "")
    assert not is_signed(secret, {"x-signature": guess}, body)
