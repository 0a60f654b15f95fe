"""Which images a pattern means, and above all which it does not: defects 12 to 14 of the original."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import BadInput
from domain.images import Image, Pattern

A = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("pattern", "image"),
    [
        ("nginx", "nginx:1.27"),
        ("nginx*", "nginx:latest"),
        ("nginx*", "docker.io/library/nginx:1"),
        ("nginx*", "nginx-exporter:0.9"),
        ("nginx*", f"nginx@{A}"),
        ("docker.io/library/nginx", "nginx"),
        ("index.docker.io/nginx", "nginx"),
        ("Docker.io/nginx:1", "nginx:1"),
        ("acme/*", "acme/app:v1"),
        ("acme/*", "docker.io/acme/app"),
        ("*/agent", "acme/agent"),
        ("*/agent", "agent"),  # which is library/agent
        ("postgres:1*", "postgres:15"),
        ("postgres:1?", "postgres:15"),
        ("redis:*", "redis:7"),
        ("redis:*", f"redis@{A}"),
        ("redis:**", "redis:7"),
        ("app:V*", "app:V1"),
        ("ghcr.io/acme/**", "ghcr.io/acme/app"),
        ("ghcr.io/acme/**", "ghcr.io/acme/team/app:v1"),
        ("ghcr.io/**/app", "ghcr.io/a/b/app"),
        ("docker.io/**", "nginx"),
        ("docker.io/**", "acme/app"),
        ("**", "ghcr.io/a/b/c:d"),
        ("**", f"nginx@{A}"),
        ("**:stable", "localhost:5000/a:stable"),
        ("**/agent", "agent"),
        ("**/agent", "ghcr.io/a/b/agent:1"),
        ("localhost:5000/*", "localhost:5000/app:v1"),
        ("localhost:*/app:v1", "localhost:5000/app:v1"),
        ("*.acme.example/app", "eu.acme.example/app"),
        ("[::1]:5000/*:v?", "[::1]:5000/a:v1"),
        ("***/a***b", "ghcr.io/axyzb"),
        ("ghcr.io/a*b*c/d?", "ghcr.io/abbc/de"),
    ],
)
def test_a_pattern_means(pattern: str, image: str) -> None:
    assert Pattern.parse(pattern).matches(Image.parse(image))


@pytest.mark.parametrize(
    ("pattern", "image"),
    [
        ("nginx*", "acme/engine"),
        ("nginx*", "evil/nginx"),
        ("nginx*", "nginx/evil"),
        ("nginx*", "ghcr.io/library/nginx"),
        ("nginx", "nginx-exporter"),
        ("nginx", "my-nginx"),
        ("redis:*", "bitnami/redis-exporter"),
        ("iotistic/app:*", "iotistic/application"),
        ("iotistic/app", "iotistic/application"),
        ("postgres:1*", "postgres:latest"),
        ("postgres:1*", f"postgres@{A}"),
        ("postgres:?*", f"postgres@{A}"),
        ("postgres:15", "postgres:15.1"),
        ("postgres:V1", "postgres:v1"),
        # in SQL's like, "_" was any character; in a regular expression "." is
        ("my_app", "my-app"),
        ("a.b", "axb"),
        ("app:1.2", "app:1x2"),
        ("acme/*", "acme/team/app"),
        ("acme/*", "ghcr.io/acme/app"),
        ("acme/*", "acme2/app"),
        ("*/agent", "ghcr.io/acme/agent"),
        ("*", "acme/app"),
        ("ghcr.io/acme/**", "ghcr.io/acme2/app"),
        ("ghcr.io/acme/**", "ghcr.io.evil.example/acme/app"),
        ("docker.io/**", "ghcr.io/a"),
        ("**/agent", "acme/my-agent"),
        ("acme?app", "acme/app"),
        ("app?", "app"),
        ("localhost:5000/*", "localhost:5001/app"),
    ],
)
def test_a_pattern_does_not_mean(pattern: str, image: str) -> None:
    assert not Pattern.parse(pattern).matches(Image.parse(image))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "1 to 255 characters"),
        ("a" * 256, "has 256"),
        ("Nginx*", "write “nginx\\*”"),
        ("Acme/*", "lower case"),
        (f"nginx@{A}", "not digests"),
        *(
            (text, "is not a pattern")
            for text in ["ngin[xy]", "a|b", "^nginx$", "(a)+", "{a,b}", "a+b", "a\\b", "a b", "a\n", "nginx\x00", "é"]
        ),
        *(
            (text, "is not a pattern")
            for text in ["nginx:", "a//b", "/a", "a/", "a:b:c", "https://a/b", "host:/a", "[a-z].io/b", "\ud800", "%"]
        ),
    ],
)
def test_what_is_no_pattern_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why) as refused:
        Pattern.parse(text)

    assert str(refused.value).isprintable()


def test_a_pattern_keeps_the_words_it_was_given_in() -> None:
    assert Pattern.parse("nginx*").text == "nginx*"
    assert Pattern.parse("nginx*") == Pattern("nginx*")


@pytest.mark.parametrize(
    "pattern", ["*a*a*a*a*a*a*b", "*a" * 126 + "*b", "**a" * 84 + "b", "**a*a" * 50 + "b", "?*" * 120 + "b", "**:" + "*a" * 120]
)
def test_no_pattern_is_slow(pattern: str) -> None:
    asked = Pattern.parse(pattern)
    image = Image.parse("a" * 237 + ":" + "a" * 127 + "c")
    asked.matches(image)

    started = time.process_time()
    assert not asked.matches(image)
    assert time.process_time() - started < 0.25  # a regular expression with seven stars takes minutes


@settings(max_examples=800, deadline=None)
@given(st.text(max_size=40) | st.text("ab*?/:.[]A-", max_size=16), st.sampled_from(["a", "b/a:b", "a.b/b/a:a", f"ab@{A}"]))
def test_a_text_is_a_pattern_that_matches_or_not_or_it_is_refused(text: str, image: str) -> None:
    try:
        pattern = Pattern.parse(text)
    except BadInput:
        return
    assert pattern.matches(Image.parse(image)) in (True, False)


@settings(max_examples=800, deadline=None)
@given(
    st.text("ab*?", max_size=8).map("**/{}".format), st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=3).map("/".join)
)
def test_a_pattern_matches_as_the_regular_expression_it_stands_for(text: str, path: str) -> None:
    try:
        pattern = Pattern.parse(text)
    except BadInput:
        return
    meaning = "".join(
        {"*": "[^/]*", "?": "[^/]", "/": "/"}.get(part, ".*" if "**" in part else part) for part in re.findall(r"\*+|.", text)
    )
    image = Image.parse(f"h.io/{path}")

    assert pattern.matches(image) == (re.fullmatch(meaning, image.repository) is not None)


@pytest.mark.parametrize("name", ["nginx", "acme/app", "ghcr.io/acme/app", "localhost:5000/a/b", "docker.io/ghcr.io/a", "[::1]:5000/a"])
def test_the_name_of_an_image_is_a_pattern_for_it(name: str) -> None:
    image = Image.parse(name)

    assert Pattern.parse(image.name).matches(image)
    assert Pattern.parse(str(image)).matches(image)
    assert Pattern.parse(image.repository).matches(image)
