"""Docker's reference grammar and its normal form, as github.com/distribution/reference defines both."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.errors import BadInput
from domain.images import Image

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64
SHA512 = "sha512:" + "0f" * 64
HEX = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a"


@pytest.mark.parametrize(
    ("text", "repository", "tag", "digest", "written"),
    [
        ("nginx", "docker.io/library/nginx", "latest", None, "nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx", "1.27", None, "nginx:1.27"),
        (f"nginx@{A}", "docker.io/library/nginx", None, A, f"nginx@{A}"),
        (f"nginx:1.27@{A}", "docker.io/library/nginx", "1.27", A, f"nginx:1.27@{A}"),
        (f"nginx@{SHA512}", "docker.io/library/nginx", None, SHA512, f"nginx@{SHA512}"),
        ("acme/app", "docker.io/acme/app", "latest", None, "acme/app:latest"),
        ("ghcr.io/acme/app:v1", "ghcr.io/acme/app", "v1", None, "ghcr.io/acme/app:v1"),
        ("ghcr.io/app", "ghcr.io/app", "latest", None, "ghcr.io/app:latest"),
        # the three names of Docker Hub (defect 20)
        ("docker.io/nginx", "docker.io/library/nginx", "latest", None, "nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx", "latest", None, "nginx:latest"),
        ("registry-1.docker.io/nginx", "docker.io/library/nginx", "latest", None, "nginx:latest"),
        ("Docker.IO/nginx", "docker.io/library/nginx", "latest", None, "nginx:latest"),
        ("docker.io/library/foo/bar", "docker.io/library/foo/bar", "latest", None, "library/foo/bar:latest"),
        # a port is no tag (defects 18 and 19)
        ("localhost:5000/app:v1", "localhost:5000/app", "v1", None, "localhost:5000/app:v1"),
        ("localhost:5000/a/b", "localhost:5000/a/b", "latest", None, "localhost:5000/a/b:latest"),
        (f"host:5000/app@{A}", "host:5000/app", None, A, f"host:5000/app@{A}"),
        ("LOCALHOST/app", "localhost/app", "latest", None, "localhost/app:latest"),
        ("192.168.0.1:8/debian", "192.168.0.1:8/debian", "latest", None, "192.168.0.1:8/debian:latest"),
        ("[::1]:5000/a", "[::1]:5000/a", "latest", None, "[::1]:5000/a:latest"),
        ("[FC00::1]/a:b", "[fc00::1]/a", "b", None, "[fc00::1]/a:b"),
        ("xn--n3h.com:18080/foo", "xn--n3h.com:18080/foo", "latest", None, "xn--n3h.com:18080/foo:latest"),
        # a host needs a dot or a port; alone, it is a name (normalize_test.go)
        ("test_com/foo", "docker.io/test_com/foo", "latest", None, "test_com/foo:latest"),
        ("localhost:5000", "docker.io/library/localhost", "5000", None, "localhost:5000"),
        ("192.168.0.1:80", "docker.io/library/192.168.0.1", "80", None, "192.168.0.1:80"),
        ("dock__er/a---b.c_d", "docker.io/dock__er/a---b.c_d", "latest", None, "dock__er/a---b.c_d:latest"),
        ("nginx:_.-A", "docker.io/library/nginx", "_.-A", None, "nginx:_.-A"),
        (f"nginx:{'t' * 128}", "docker.io/library/nginx", "t" * 128, None, f"nginx:{'t' * 128}"),
        # short names that would be read as something else
        (f"docker.io/{HEX}", f"docker.io/library/{HEX}", "latest", None, f"library/{HEX}:latest"),
        (f"library/sha256:{HEX}", "docker.io/library/sha256", HEX, None, f"library/sha256:{HEX}"),
        ("docker.io/ghcr.io/app", "docker.io/ghcr.io/app", "latest", None, "docker.io/ghcr.io/app:latest"),
        ("docker.io/localhost/app", "docker.io/localhost/app", "latest", None, "docker.io/localhost/app:latest"),
        ("a" * 237, "docker.io/library/" + "a" * 237, "latest", None, "a" * 237 + ":latest"),
    ],
)
def test_a_reference_has_one_normal_form(text: str, repository: str, tag: str | None, digest: str | None, written: str) -> None:
    image = Image.parse(text)

    assert image == Image(repository, tag, digest)
    assert str(image) == written
    assert Image.parse(written) == image


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is missing"),
        ("Nginx", "lower case: “nginx”, not “Nginx”"),
        ("docker/Docker", "lower case"),
        # Docker would look for a host called Acme; who writes this means a user of Docker Hub
        ("Acme/app", "lower case: “acme/app”"),
        ("ghcr.io/Acme/App:v1", "lower case: “acme/app”"),
        ("https://github.com/docker/docker", "no scheme: “github.com/docker/docker”"),
        ("docker://nginx", "no scheme"),
        (HEX, "id of an image"),
        (A, "id of an image"),
        (SHA512, "id of an image"),
        ("nginx latest", "no spaces"),
        ("nginx\n", "no spaces"),
        (" nginx", "no spaces"),
        ("nginx:1\x00", "no spaces, control characters"),
        ("ngïnx", "beyond ASCII"),
        ("nginx:１", "beyond ASCII"),
        ("\ud800", "beyond ASCII"),
        ("nginx:", "not a tag"),
        ("nginx:-1", "not a tag"),
        ("nginx:.1", "not a tag"),
        (f"nginx:{'t' * 129}", "not a tag"),
        ("nginx:1+build", "not a tag"),
        ("nginx@", "not a digest"),
        ("nginx@sha256:abc", "not a digest"),
        (f"nginx@{A.upper()}", "not a digest"),
        (f"nginx@{A}a", "not a digest"),
        ("nginx@md5:" + "a" * 32, "not a digest"),
        (f"nginx@{A}:latest", "not a digest"),
        (f"nginx@{A}@{A}", "not a digest"),
        ("docker/", "name of a repository"),
        ("/docker", "name of a repository"),
        ("docker///docker", "name of a repository"),
        ("docker-/docker", "name of a repository"),
        ("_docker/_docker", "name of a repository"),
        ("docker/dock..er", "name of a repository"),
        ("docker/dock_.er", "name of a repository"),
        ("dock_.er/docker", "cannot be the registry"),
        ("dock___er/docker", "name of a repository"),
        ("a:b:c", "name of a repository"),
        ("a/../b", "name of a repository"),
        ("nginx*", "name of a repository"),
        (":tag", "name of a repository"),
        ("[fc00::1]", "repository"),
        ("fc00::1:5000/debian", "cannot be the registry"),
        ("[fe80::1%eth0]:5000/debian", "cannot be the registry"),
        ("[2001:db8:3:4::192.0.2.33]:5000/debian", "cannot be the registry"),
        ("-docker.io/docker/docker", "cannot be the registry"),
        ("host:port/app", "cannot be the registry"),
        ("a..b/app", "cannot be the registry"),
        ("a" * 238, "at most 255"),
        ("a/" * 500_000 + "a", "at most 255"),
        ("a" * 1_000_000 + "!", "at most 255"),
    ],
)
def test_what_docker_would_not_pull_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(BadInput) as refused:
        Image.parse(text)

    sentence = str(refused.value)
    assert why in sentence
    assert len(sentence) < 400
    assert sentence.isprintable()


@pytest.mark.parametrize("host", ["", "registry", "https://ghcr.io", "ghcr.io/acme", "ghcr.io ", "user@ghcr.io", "ghcr.io:"])
def test_a_registry_that_no_reference_can_name_is_refused(host: str) -> None:
    with pytest.raises(BadInput, match="cannot be the registry"):
        Image.at(host, "acme/app", "v1")


def test_a_path_at_a_registry_is_never_taken_for_another_registry() -> None:
    assert Image.at("docker.io", "ghcr.io/acme/app", "v1").repository == "docker.io/ghcr.io/acme/app"


@pytest.mark.parametrize(
    ("asked", "running", "proven"),
    [
        ("nginx:1.27", "docker.io/library/nginx:1.27", True),
        ("nginx:1.27", f"nginx:1.27@{A}", True),
        ("nginx:1.27", "nginx:1.26", False),
        ("nginx:1.27", f"nginx@{A}", False),
        ("nginx:1.27", "acme/nginx:1.27", False),
        ("nginx", "nginx-exporter", False),
        (f"nginx:latest@{A}", f"nginx@{A}", True),
        (f"nginx:latest@{A}", f"nginx:1.27@{A}", True),
        (f"nginx:latest@{A}", "nginx:latest", False),
        (f"nginx:latest@{A}", f"nginx:latest@{B}", False),
        (f"nginx@{A}", f"acme/nginx@{A}", False),
    ],
)
def test_a_device_runs_an_image_when_the_most_exact_thing_asked_for_agrees(asked: str, running: str, proven: bool) -> None:
    assert Image.parse(asked).is_proven_by(Image.parse(running)) is proven


@pytest.mark.parametrize(("text", "release"), [("nginx:1.27", "1.27"), (f"nginx:1.27@{A}", A), (f"nginx@{A}", A), ("nginx", "latest")])
def test_a_release_is_a_digest_when_it_is_known(text: str, release: str) -> None:
    assert Image.parse(text).release == release


@pytest.mark.parametrize(("tag", "attached"), [("", True), (".sig", True), (".att", True), (".sbom", True), ("-1", False)])
def test_signatures_are_told_from_images_by_their_tag(tag: str, attached: bool) -> None:
    assert Image.parse(f"acme/app:sha256-{HEX}{tag}").is_attachment is attached
    assert not Image.parse(f"acme/app@sha256:{HEX}").is_attachment


almost_references = st.text("aZ0./:@-_[]*% \x00é" + "sha256", max_size=60) | st.lists(
    st.sampled_from(
        [
            "nginx",
            "acme",
            "library",
            "localhost",
            "docker.io",
            "ghcr.io",
            "a.b",
            ":",
            ":5000",
            "/",
            "@",
            A,
            HEX,
            "sha256",
            "v1",
            "A",
            "[::1]",
        ]
    ),
    max_size=7,
).map("".join)


@settings(max_examples=800, deadline=None)
@given(st.text(max_size=80) | almost_references)
@example("\ud800:\udfff@\x00")
def test_a_text_is_an_image_that_survives_being_written_or_is_refused(text: str) -> None:
    try:
        image = Image.parse(text)
    except BadInput:
        return
    assert Image.parse(str(image)) == image
    assert Image.parse(image.repository).repository == image.repository
    assert image.is_proven_by(image)


components = st.from_regex(r"[a-z0-9]{1,3}((\.|_|__|-{1,2})[a-z0-9]{1,2}){0,2}", fullmatch=True)
hosts = st.sampled_from(["", "docker.io/", "index.docker.io/", "LocalHost/", "ghcr.io/", "[fe::1]:1/", "h:5/", "Reg.Example/"])
tags = st.just("") | st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True)


@settings(max_examples=400, deadline=None)
@given(hosts, st.lists(components, min_size=1, max_size=3).map("/".join), tags, st.sampled_from(["", f"@{A}", f"@{SHA512}"]))
def test_every_reference_the_grammar_makes_is_accepted_and_survives_being_written(host: str, path: str, tag: str, digest: str) -> None:
    # A dot in the first part would make it a host.
    image = Image.parse(f"{host}{path if host else path.replace('.', '_')}{tag}{digest}")

    assert Image.parse(str(image)) == image
    assert str(Image.parse(str(image))) == str(image)
