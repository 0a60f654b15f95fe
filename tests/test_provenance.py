"""What counts as a signature or an attestation, tried with real keys against a real registry."""

import json
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.provenance import Evidence, Proof, ProvenanceSettings, public_key
from domain.registries import Unanswered
from registries.oci.claims import fits, pae, read
from registries.oci.client import Client
from registries.oci.provenance import MOST_LOOKED_AT, evidence
from registries.oci.session import client as new_client
from registries.oci.wire import MOST_READ
from tests import signing
from tests.registry import BUNDLE, DSSE, IN_TOTO, SIMPLE_SIGNING, Layer, LittleRegistry, digest_of, registry
from tests.signing import SIGNS, SLSA, PrivateKey, pem

APP = "acme/app"
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
KEYS: dict[str, PrivateKey] = {
    "P-256": KEY,
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "RSA": rsa.generate_private_key(65537, 2048),
}
SIGNED = ProvenanceSettings(require=Proof.SIGNATURE, public_key=pem(KEY))
SIGNED_BY_ANYBODY = ProvenanceSettings(require=Proof.SIGNATURE)
ATTESTED = ProvenanceSettings(require=Proof.ATTESTATION, public_key=pem(KEY))
ATTESTED_BY_ANYBODY = ProvenanceSettings(require=Proof.ATTESTATION)
UNCHECKED = "not checked: who holds the key, the transparency log"
DOES_NOT_FIT = "does not fit the configured key: it was made with another, or changed since"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with new_client(seconds=5) as client:
        yield client


@pytest.fixture(params=[True, False], ids=["referrers", "fallback tag"])
async def r(request: pytest.FixtureRequest) -> AsyncIterator[LittleRegistry]:
    """A registry that knows who refers to an image, and one that does not."""
    async with registry(referrers=request.param) as little:
        yield little


async def found(client: Client, r: LittleRegistry, digest: str, settings: ProvenanceSettings) -> Evidence:
    return await evidence(client, r.registry, r.image(APP, "1", digest), settings)


def enough(why: str) -> Evidence:
    return Evidence(True, why)


def no(proof: str, why: str) -> Evidence:
    return Evidence(False, f"no {proof} of this image is enough: {why}")


# --- settings


@pytest.mark.parametrize("kind", KEYS)
def test_these_keys_may_be_required(kind: str) -> None:
    written = f"\n {pem(KEYS[kind])} \n"

    assert ProvenanceSettings(require=Proof.SIGNATURE, public_key=written).public_key == written


def private_pem() -> str:
    return KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | dsa.DSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "no public key"),
        ("secret words", "no public key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "no public key"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "no public key"),
        ("\u00e9", "no public key"),
        (private_pem(), "private key"),
        (pem_of(ec.generate_private_key(ec.SECP521R1())), "this one is not"),
        (pem_of(ec.generate_private_key(ec.SECP256K1())), "this one is not"),
        (pem_of(rsa.generate_private_key(65537, 1024)), "this one is not"),
        (pem_of(dsa.generate_private_key(1024)), "this one is not"),
    ],
)
def test_other_keys_are_refused_in_words_that_do_not_repeat_them(written: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        ProvenanceSettings(require=Proof.SIGNATURE, public_key=written)

    assert not written or written not in str(caught.value)


def test_a_signature_has_no_predicate() -> None:
    with pytest.raises(ValidationError, match="for attestations"):
        ProvenanceSettings(require=Proof.SIGNATURE, predicate_type=SLSA)


def test_settings_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        ProvenanceSettings.model_validate({"require": "signature", "issuer": "acme"})


# --- signatures


@pytest.mark.parametrize("kind", KEYS)
async def test_a_cosign_signature_made_with_the_key_is_enough(client: Client, r: LittleRegistry, kind: str) -> None:
    digest = r.push(APP, "1")
    r.sign(APP, digest, KEYS[kind])
    settings = ProvenanceSettings(require=Proof.SIGNATURE, public_key=pem(KEYS[kind]))

    assert await found(client, r, digest, settings) == enough(f"a cosign signature made with the configured key; {UNCHECKED}")


@pytest.mark.parametrize("kind", KEYS)
async def test_so_is_a_sigstore_bundle(client: Client, r: LittleRegistry, kind: str) -> None:
    digest = r.push(APP, "1", platforms=("linux/amd64", "linux/arm64"))
    r.bundle(APP, digest, KEYS[kind])
    settings = ProvenanceSettings(require=Proof.SIGNATURE, public_key=pem(KEYS[kind]))

    assert await found(client, r, digest, settings) == enough(f"a sigstore signature made with the configured key; {UNCHECKED}")


@pytest.mark.parametrize("kind", KEYS)
async def test_so_is_a_signature_of_the_manifest_itself(client: Client, r: LittleRegistry, kind: str) -> None:
    digest = r.push(APP, "1")
    content = r.manifests[APP, digest][1]
    signed = signing.bundle(messageSignature=signing.message_signature(KEYS[kind], content, digest))
    r.refer(APP, digest, BUNDLE, [Layer(BUNDLE, signed)])
    settings = ProvenanceSettings(require=Proof.SIGNATURE, public_key=pem(KEYS[kind]))

    assert (await found(client, r, digest, settings)).is_enough
    assert await found(client, r, digest, settings.model_copy(update={"public_key": pem(OTHER)})) == no(
        "signature", f"a sigstore signature {DOES_NOT_FIT}"
    )


async def test_cosign_may_keep_its_signature_among_the_referrers(client: Client, r: LittleRegistry) -> None:
    digest = r.push(APP, "1")
    payload = signing.simple_signing(digest)
    note = {"dev.cosignproject.cosign/signature": signing.text(signing.signature(KEY, payload))}
    r.refer(APP, digest, "application/vnd.dev.cosign.artifact.sig.v1+json", [Layer(SIMPLE_SIGNING, payload, note)])

    assert (await found(client, r, digest, SIGNED)).is_enough


def test_p384_is_read_as_cosign_signs_now_and_as_it_signed_before() -> None:
    key = KEYS["P-384"]

    for is_new in (True, False):
        assert fits(public_key(pem(key)), signing.signature(key, b"said", is_new=is_new), b"said")
        assert not fits(public_key(pem(key)), signing.signature(key, b"said", is_new=is_new), b"unsaid")


@pytest.mark.parametrize("sign", [LittleRegistry.sign, LittleRegistry.bundle])
async def test_without_a_key_it_is_enough_that_there_is_a_signature(
    client: Client, r: LittleRegistry, sign: Callable[[LittleRegistry, str, str, PrivateKey], str]
) -> None:
    digest = r.push(APP, "1")
    sign(r, APP, digest, OTHER)

    assert await found(client, r, digest, SIGNED_BY_ANYBODY) == enough(
        "a signature exists; it was not verified, since the policy has no key"
    )


@pytest.mark.parametrize("settings", [SIGNED, SIGNED_BY_ANYBODY])
async def test_an_image_that_nobody_signed_is_not_enough(client: Client, r: LittleRegistry, settings: ProvenanceSettings) -> None:
    digest, other = r.push(APP, "1"), r.push(APP, "2")
    r.sign(APP, other, KEY)
    r.bundle(APP, other, KEY)

    assert await found(client, r, digest, settings) == Evidence(False, "no signature of this image was found")


async def test_another_key_is_not_enough(client: Client, r: LittleRegistry) -> None:
    digest = r.push(APP, "1")
    r.sign(APP, digest, OTHER)
    r.bundle(APP, digest, OTHER)

    assert await found(client, r, digest, SIGNED) == no(
        "signature", f"a cosign signature {DOES_NOT_FIT}; a sigstore signature {DOES_NOT_FIT}"
    )


@pytest.mark.parametrize("kind", [name for name in KEYS if name != "P-256"])
async def test_nor_is_a_key_of_another_kind(client: Client, r: LittleRegistry, kind: str) -> None:
    digest = r.push(APP, "1")
    r.sign(APP, digest, KEYS[kind])

    assert await found(client, r, digest, SIGNED) == no("signature", f"a cosign signature {DOES_NOT_FIT}")


@pytest.mark.parametrize("settings", [SIGNED, SIGNED_BY_ANYBODY])
async def test_the_signature_of_another_image_is_not_enough(client: Client, r: LittleRegistry, settings: ProvenanceSettings) -> None:
    digest, other = r.push(APP, "1"), r.push(APP, "2")
    payload = signing.simple_signing(other)
    note = {"dev.cosignproject.cosign/signature": signing.text(signing.signature(KEY, payload))}
    r.attach(APP, digest, "sig", [Layer(SIMPLE_SIGNING, payload, note)])
    envelope = signing.envelope(KEY, signing.statement(other, SIGNS))
    r.refer(APP, digest, BUNDLE, [Layer(BUNDLE, signing.bundle(dsseEnvelope=envelope))])
    message = signing.message_signature(KEY, r.manifests[APP, other][1], other)
    r.refer(APP, digest, BUNDLE, [Layer(BUNDLE, signing.bundle(messageSignature=message))])

    assert await found(client, r, digest, settings) == no(
        "signature", "a cosign signature is for another image; a sigstore signature is for another image"
    )


async def test_words_that_were_changed_after_they_were_signed_are_not_enough(client: Client, r: LittleRegistry) -> None:
    digest, other = r.push(APP, "1"), r.push(APP, "2")
    note = {"dev.cosignproject.cosign/signature": signing.text(signing.signature(KEY, signing.simple_signing(other)))}
    r.attach(APP, digest, "sig", [Layer(SIMPLE_SIGNING, signing.simple_signing(digest), note)])
    envelope = signing.envelope(KEY, signing.statement(other, SIGNS)) | {"payload": signing.text(signing.statement(digest, SIGNS))}
    r.refer(APP, digest, BUNDLE, [Layer(BUNDLE, signing.bundle(dsseEnvelope=envelope))])
    message = signing.message_signature(KEY, r.manifests[APP, other][1], digest)
    r.refer(APP, digest, BUNDLE, [Layer(BUNDLE, signing.bundle(messageSignature=message))])

    assert await found(client, r, digest, SIGNED) == no(
        "signature", f"a cosign signature {DOES_NOT_FIT}; a sigstore signature {DOES_NOT_FIT}"
    )


async def test_the_signed_bytes_themselves_are_no_envelope(client: Client, r: LittleRegistry) -> None:
    digest = r.push(APP, "1")
    payload = signing.statement(digest, SIGNS)
    envelope = signing.envelope(KEY, payload) | {"signatures": [{"sig": signing.text(signing.signature(KEY, payload))}]}
    r.refer(APP, digest, BUNDLE, [Layer(BUNDLE, signing.bundle(dsseEnvelope=envelope))])

    assert await found(client, r, digest, SIGNED) == no("signature", f"a sigstore signature {DOES_NOT_FIT}")


@pytest.mark.parametrize("settings", [SIGNED, SIGNED_BY_ANYBODY])
async def test_a_payload_without_a_signature_is_not_signed(client: Client, r: LittleRegistry, settings: ProvenanceSettings) -> None:
    digest = r.push(APP, "1")
    r.attach(APP, digest, "sig", [Layer(SIMPLE_SIGNING, signing.simple_signing(digest))])
    r.refer(APP, digest, IN_TOTO, [Layer(IN_TOTO, signing.statement(digest, SIGNS))])

    assert await found(client, r, digest, settings) == no(
        "signature", "a cosign signature is not signed; a sigstore signature is not signed"
    )


async def test_one_good_signature_among_others_is_enough(client: Client, r: LittleRegistry) -> None:
    digest, other = r.push(APP, "1"), r.push(APP, "2")
    r.sign(APP, digest, OTHER)
    r.refer(APP, digest, "application/vnd.example.sbom", [Layer("text/plain", b"an SBOM")])
    r.refer(APP, digest, BUNDLE, [Layer(BUNDLE, b"nonsense")])
    r.bundle(APP, other, KEY)
    r.bundle(APP, digest, KEY)

    assert (await found(client, r, digest, SIGNED)).is_enough


async def test_what_is_enough_is_not_looked_beyond(client: Client, r: LittleRegistry) -> None:
    digest = r.push(APP, "1")
    r.sign(APP, digest, KEY)
    r.bundle(APP, digest, KEY)
    await found(client, r, digest, SIGNED)

    assert r.asked("referrers") == []


# --- attestations


@pytest.mark.parametrize("predicate_type", [None, SLSA])
@pytest.mark.parametrize("attest", [LittleRegistry.attest, LittleRegistry.bundle])
async def test_an_attestation_made_with_the_key_is_enough(
    client: Client, r: LittleRegistry, attest: Callable[[LittleRegistry, str, str, PrivateKey, str], str], predicate_type: str | None
) -> None:
    digest = r.push(APP, "1")
    attest(r, APP, digest, KEY, SLSA)
    settings = ProvenanceSettings(require=Proof.ATTESTATION, public_key=pem(KEY), predicate_type=predicate_type)

    assert await found(client, r, digest, settings) == enough(
        f"an attestation ({SLSA}) made with the configured key; not checked: what it says, who holds the key, the transparency log"
    )


@pytest.mark.parametrize("public", [None, pem(KEY)])
async def test_an_attestation_about_something_else_is_not_enough(client: Client, r: LittleRegistry, public: str | None) -> None:
    digest = r.push(APP, "1")
    r.attest(APP, digest, KEY, "https://spdx.dev/Document\n")
    settings = ProvenanceSettings(require=Proof.ATTESTATION, public_key=public, predicate_type=SLSA)

    said = "https://spdx.dev/Document\\n"
    assert await found(client, r, digest, settings) == no("attestation", f"an attestation ({said}) is about {said}, not {SLSA}")


async def test_a_signature_is_no_attestation_and_an_attestation_no_signature(client: Client, r: LittleRegistry) -> None:
    signed, attested = r.push(APP, "1"), r.push(APP, "2")
    r.sign(APP, signed, KEY)
    r.bundle(APP, signed, KEY)
    r.attest(APP, attested, KEY)
    r.bundle(APP, attested, KEY, SLSA)

    assert await found(client, r, signed, ATTESTED) == Evidence(False, "no attestation of this image was found")
    assert await found(client, r, attested, SIGNED) == Evidence(False, "no signature of this image was found")


async def test_an_attestation_for_another_image_or_by_another_key_is_not_enough(client: Client, r: LittleRegistry) -> None:
    digest, other = r.push(APP, "1"), r.push(APP, "2")
    envelopes = [signing.envelope(KEY, signing.statement(other)), signing.envelope(OTHER, signing.statement(digest))]
    r.attach(APP, digest, "att", [Layer(DSSE, json.dumps(envelope).encode()) for envelope in envelopes])

    assert await found(client, r, digest, ATTESTED) == no(
        "attestation", f"an attestation ({SLSA}) is for another image; an attestation ({SLSA}) {DOES_NOT_FIT}"
    )


async def test_what_buildkit_puts_into_the_index_exists_and_is_not_signed(client: Client, r: LittleRegistry) -> None:
    digest = r.push_with_attestation(APP, "1", SLSA)
    about_slsa = ProvenanceSettings(require=Proof.ATTESTATION, predicate_type=SLSA)
    about_parts = ProvenanceSettings(require=Proof.ATTESTATION, predicate_type="https://spdx.dev/Document")

    for settings in (ATTESTED_BY_ANYBODY, about_slsa):
        assert await found(client, r, digest, settings) == enough("an attestation exists; it was not verified, since the policy has no key")
    inside = "an attestation inside the image's index"
    assert await found(client, r, digest, ATTESTED) == no("attestation", f"{inside} is not signed")
    assert await found(client, r, digest, about_parts) == no("attestation", f"{inside} is about {SLSA}, not https://spdx.dev/Document")
    assert await found(client, r, digest, SIGNED_BY_ANYBODY) == Evidence(False, "no signature of this image was found")


async def test_an_attestation_that_refers_to_the_image_without_an_envelope_is_not_signed(client: Client, r: LittleRegistry) -> None:
    digest, other = r.push(APP, "1"), r.push(APP, "2")
    r.refer(APP, digest, IN_TOTO, [Layer(IN_TOTO, signing.statement(digest))])
    r.refer(APP, other, IN_TOTO, [Layer(IN_TOTO, signing.statement(digest))])

    assert (await found(client, r, digest, ATTESTED_BY_ANYBODY)).is_enough
    assert await found(client, r, digest, ATTESTED) == no("attestation", f"an attestation ({SLSA}) is not signed")
    assert await found(client, r, other, ATTESTED_BY_ANYBODY) == no("attestation", f"an attestation ({SLSA}) is for another image")


# --- what cannot be read


NONSENSE = (b"", b"{", b"[]", b"{}", b"\xff", b"5", b"[" * 99_999)


def without_payload(**changes: object) -> bytes:
    return json.dumps(signing.envelope(KEY, signing.statement("sha256:00")) | changes).encode()


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        *[(kind, content) for kind in (SIMPLE_SIGNING, DSSE, BUNDLE, IN_TOTO) for content in NONSENSE],
        (SIMPLE_SIGNING, b'{"critical": {"image": {"docker-manifest-digest": 5}}}'),
        (DSSE, without_payload(payload="not base64!")),
        (DSSE, without_payload(payload="\u00e9")),
        (DSSE, without_payload(payload="abc")),
        (DSSE, without_payload(payload=signing.text(b"{}"))),
        (DSSE, without_payload(payloadType="text/plain")),
        (DSSE, without_payload(signatures=[{"sig": "*"}])),
        (BUNDLE, signing.bundle(messageSignature={"messageDigest": {"algorithm": "SHA2_512", "digest": ""}, "signature": ""})),
        (BUNDLE, signing.bundle(messageSignature={"messageDigest": {"algorithm": "SHA2_256", "digest": "?"}, "signature": ""})),
        (IN_TOTO, signing.statement("sha256:00").replace(b"in-toto.io/Statement/v1", b"example.com/v1")),
    ],
)
async def test_what_cannot_be_read_is_not_enough(client: Client, media_type: str, content: bytes) -> None:
    async with registry() as r:
        digest = r.push(APP, "1")
        r.refer(APP, digest, BUNDLE, [Layer(media_type, content, {"dev.cosignproject.cosign/signature": "AAAA"})])
        for settings in (SIGNED, SIGNED_BY_ANYBODY, ATTESTED, ATTESTED_BY_ANYBODY):
            said = await found(client, r, digest, settings)
            assert not said.is_enough
            assert said.why.endswith("cannot be read")


async def test_a_signature_that_is_no_base64_cannot_be_read(client: Client, r: LittleRegistry) -> None:
    digest = r.push(APP, "1")
    note = {"dev.cosignproject.cosign/signature": "signed, me"}
    r.attach(APP, digest, "sig", [Layer(SIMPLE_SIGNING, signing.simple_signing(digest), note)])

    assert await found(client, r, digest, SIGNED) == no("signature", "something that looks like one cannot be read")


@given(
    st.sampled_from([SIMPLE_SIGNING, DSSE, BUNDLE, IN_TOTO]),
    st.binary() | st.recursive(st.none(), st.lists).map(lambda said: json.dumps(said).encode()),
)
def test_whatever_a_blob_holds_it_is_read_without_complaint(media_type: str, content: bytes) -> None:
    assert read(media_type, content, None).signatures == ()


@given(st.binary(max_size=99), st.binary(max_size=300))
def test_no_bytes_are_a_signature_but_the_key_s(signature: bytes, message: bytes) -> None:
    for key in KEYS.values():
        assert not fits(public_key(pem(key)), signature, message)


@given(st.tuples(st.text(max_size=9), st.binary(max_size=9)), st.tuples(st.text(max_size=9), st.binary(max_size=9)))
def test_no_two_envelopes_sign_the_same_bytes(one: tuple[str, bytes], other: tuple[str, bytes]) -> None:
    assert (pae(*one) == pae(*other)) == (one == other)


def test_an_envelope_signs_what_its_specification_says() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


# --- how much is looked at


async def test_only_so_many_claims_are_looked_at(client: Client, r: LittleRegistry) -> None:
    digest = r.push(APP, "1")
    payload = signing.simple_signing(digest)
    good = {"dev.cosignproject.cosign/signature": signing.text(signing.signature(KEY, payload))}
    forged = [Layer(SIMPLE_SIGNING, payload, {"dev.cosignproject.cosign/signature": signing.text(b"%d" % number)}) for number in range(60)]
    r.attach(APP, digest, "sig", [*forged, Layer(SIMPLE_SIGNING, payload, good)])

    said = await found(client, r, digest, SIGNED)
    assert said == no("signature", f"a cosign signature {DOES_NOT_FIT}; only the first {MOST_LOOKED_AT} were looked at")
    assert len(r.asked("/blobs/")) == MOST_LOOKED_AT


async def test_only_so_many_referrers_are_looked_at(client: Client) -> None:
    async with registry() as r:
        digest = r.push(APP, "1")
        for number in range(60):
            r.refer(APP, digest, BUNDLE, [Layer("text/plain", b"%d" % number)])
        before = len(r.requests)

        assert not (await found(client, r, digest, SIGNED)).is_enough
        assert len(r.requests) - before <= MOST_LOOKED_AT + 5


async def test_claims_of_more_than_four_megabytes_are_not_read(client: Client, r: LittleRegistry) -> None:
    digest = r.push(APP, "1")
    r.attach(APP, digest, "sig", [Layer(SIMPLE_SIGNING, b" " * (MOST_READ + 1))])

    assert await found(client, r, digest, SIGNED) == no("signature", "something of more than 4 MB cannot be read")
    assert r.asked("/blobs/") == []


async def test_a_long_list_of_objections_is_cut_short(client: Client, r: LittleRegistry) -> None:
    digest = r.push(APP, "1")
    for number in range(5):
        r.bundle(APP, digest, OTHER, f"https://acme.example/{number}")

    said = await found(client, r, digest, ATTESTED)
    assert said.why.count(DOES_NOT_FIT) == 3
    assert said.why.endswith("; …")


# --- when the registry does not let us look


async def test_without_a_digest_or_an_image_nothing_is_enough(client: Client, r: LittleRegistry) -> None:
    assert not (await evidence(client, r.registry, r.image(APP, "1"), SIGNED)).is_enough
    assert r.requests == []
    assert await found(client, r, digest_of(b"nobody"), SIGNED) == Evidence(False, "the registry does not have this image")


@pytest.mark.parametrize("part", ["/manifests/", "/blobs/", "/referrers/"])
@pytest.mark.parametrize("status", [401, 403, 429, 500])
async def test_a_registry_that_does_not_let_us_look_has_not_said_no(client: Client, part: str, status: int) -> None:
    async with registry() as r:
        digest = r.push(APP, "1")
        r.bundle(APP, digest, KEY)

        async def interrupt(request: web.Request) -> web.StreamResponse | None:
            return web.Response(status=status) if part in request.path else None

        r.interrupt = interrupt
        with pytest.raises(Unanswered, match=f"\\({status}\\)"):
            await found(client, r, digest, SIGNED)
