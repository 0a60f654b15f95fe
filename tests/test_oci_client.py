"""Questions to a registry over real sockets: honest ones, busy ones, and ones that want to know more than they should."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from errno import ECONNREFUSED
from socket import AF_INET, AF_INET6, AF_UNSPEC, AddressFamily, gaierror, socket

import aiohttp
import pytest
import trustme
from aiohttp import AddrInfoType, web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from domain.images import Image
from domain.registries import Credentials, Registry, Unanswered
from registries.oci import tags as tags_module
from registries.oci.addresses import is_public
from registries.oci.challenges import Challenge, challenges, preferred
from registries.oci.client import Client
from registries.oci.links import next_page
from registries.oci.session import client as new_client
from registries.oci.waits import wait_of
from registries.oci.wire import MOST_AT_ONCE, MOST_READ, base
from tests.registry import CONFIG, INDEX, MANIFEST, Asked, Interrupt, Layer, LittleRegistry, basic, digest_of, platform_of, registry

CREDENTIALS = Credentials("robot", "a password that nobody may see")
APP = "acme/app"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Names(AbstractResolver):
    """A name server of our own, which counts who was asked for."""

    def __init__(self, **addresses: list[str]) -> None:
        self.addresses = {name.replace("_", "."): found for name, found in addresses.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_UNSPEC) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self.addresses:
            raise gaierror(-2, "Name or service not known")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=AF_INET6 if ":" in address else AF_INET, proto=0, flags=0)
            for address in self.addresses[host]
        ]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with new_client(seconds=5) as client:
        yield client


@pytest.fixture
async def r() -> AsyncIterator[LittleRegistry]:
    async with registry() as little:
        yield little


def always(response: Callable[[], web.StreamResponse], part: str = "") -> Interrupt:
    """Answer like this whatever has the part in its path."""

    async def interrupt(request: web.Request) -> web.StreamResponse | None:
        return response() if part in request.path else None

    return interrupt


@asynccontextmanager
async def saying(answer: bytes, *, then_wait: float = 0) -> AsyncIterator[Registry]:
    """Somebody who answers every connection with these bytes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            await asyncio.sleep(then_wait)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield Registry(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", plain_http=True)


async def unanswered(question: Awaitable[object]) -> str:
    """The sentence that an operator reads."""
    with pytest.raises(Unanswered) as caught:
        await question
    return str(caught.value)


# --- the digest of a tag


async def test_the_digest_of_a_tag_is_asked_for_without_its_manifest(client: Client, r: LittleRegistry) -> None:
    pushed = r.push(APP, "1.2.3")

    assert await client.digest(r.registry, Image.parse(f"{r.host}/{APP}:1.2.3")) == pushed
    assert r.asked() == [f"HEAD /v2/{APP}/manifests/1.2.3"]
    assert all(kind in r.requests[0].headers["Accept"] for kind in (INDEX, MANIFEST, "manifest.list.v2+json", "manifest.v2+json"))
    assert r.requests[0].headers["User-Agent"] == "Rollwave"


async def test_a_tag_that_moved_has_another_digest(client: Client, r: LittleRegistry) -> None:
    before = r.push(APP, "1", platforms=("linux/amd64", "linux/arm64"))
    first = await client.digest(r.registry, r.image(APP, "1"))
    after = r.push(APP, "1", platforms=("linux/amd64", "linux/arm64"))

    assert (first, await client.digest(r.registry, r.image(APP, "1"))) == (before, after)
    assert before != after


async def test_a_tag_that_is_not_there_has_no_digest(client: Client, r: LittleRegistry) -> None:
    r.push(APP, "1")

    assert await client.digest(r.registry, r.image(APP, "2")) is None
    assert await client.digest(r.registry, r.image("acme/other", "1")) is None


async def test_an_image_without_a_tag_is_looked_up_by_its_digest(client: Client, r: LittleRegistry) -> None:
    pushed = r.push(APP, "1")

    assert await client.digest(r.registry, r.image(APP, digest=pushed)) == pushed
    assert await client.digest(r.registry, r.image(APP, digest=digest_of(b"another"))) is None


async def test_a_registry_that_does_not_say_the_digest_is_asked_for_the_bytes(client: Client, r: LittleRegistry) -> None:
    r.says_digests = False
    pushed = r.push(APP, "1")

    assert await client.digest(r.registry, r.image(APP, "1")) == pushed
    assert await client.digest(r.registry, r.image(APP, "2")) is None
    assert r.asked("/1") == [f"HEAD /v2/{APP}/manifests/1", f"GET /v2/{APP}/manifests/1"]


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:12", "md5:" + "0" * 32, "sha256:" + "G" * 64, "sha256:" + "A" * 64, "0" * 64])
async def test_what_is_no_digest_is_no_answer(client: Client, r: LittleRegistry, digest: str) -> None:
    r.interrupt = always(lambda: web.Response(headers={"Docker-Content-Digest": digest}, content_type=MANIFEST))

    assert await unanswered(client.digest(r.registry, r.image(APP, "1"))) == (
        f"{r.host} answers with a digest that is none, or not the one it was asked for"
    )


async def test_the_digest_of_something_else_is_no_answer(client: Client, r: LittleRegistry) -> None:
    other = digest_of(b"other")
    r.interrupt = always(lambda: web.Response(headers={"Docker-Content-Digest": other}, body=b"{}", content_type=MANIFEST))

    assert "not the one it was asked for" in await unanswered(client.digest(r.registry, r.image(APP, digest=digest_of(b"mine"))))
    assert "answers with something else than sha256:" in await unanswered(client.manifest(r.registry, f"{r.host}/{APP}", "1"))


@pytest.mark.parametrize("content_type", ["text/html", "application/json", "application/vnd.docker.distribution.manifest.v1+prettyjws", ""])
async def test_a_page_that_is_no_manifest_is_no_answer(client: Client, r: LittleRegistry, content_type: str) -> None:
    headers = {"Docker-Content-Digest": digest_of(b""), "Content-Type": content_type}
    r.interrupt = always(lambda: web.Response(headers=headers))

    assert await unanswered(client.digest(r.registry, r.image(APP, "1"))) == f"{r.host} does not answer with the manifest of an image"


def test_docker_hub_is_asked_at_another_host_and_nobody_else_is() -> None:
    assert str(base(Registry("docker.io"))) == "https://registry-1.docker.io"
    assert str(base(Registry("ghcr.io"))) == "https://ghcr.io"
    assert str(base(Registry("hub.acme.example:5000", plain_http=True))) == "http://hub.acme.example:5000"


@pytest.mark.parametrize("host", ["", "a b:x", "acme.example:port", "acme.example:99999999", "[::1"])
async def test_a_host_that_is_none_is_not_asked(client: Client, host: str) -> None:
    await unanswered(client.digest(Registry(host), Image("x/app", "1", None)))


# --- asking once for many


async def test_with_nothing_old_allowed_each_call_asks(client: Client, r: LittleRegistry) -> None:
    r.push(APP, "1")

    for _ in range(3):
        await client.digest(r.registry, r.image(APP, "1"))

    assert len(r.requests) == 3


async def test_an_answer_that_is_not_too_old_will_do() -> None:
    clock = Clock()
    async with registry() as r, new_client(clock=clock) as client:
        old = r.push(APP, "1")
        await client.digest(r.registry, r.image(APP, "1"))
        new = r.push(APP, "1")

        clock.now += 10
        assert await client.digest(r.registry, r.image(APP, "1"), at_most_old=10) == old
        assert await client.digest(r.registry, r.image(APP, "1"), at_most_old=9) == new
        assert await client.digest(r.registry, r.image(APP, "2"), at_most_old=10) is None
        assert await client.digest(replace(r.registry, credentials=CREDENTIALS), r.image(APP, "1"), at_most_old=10) == new
    assert len(r.requests) == 4


class Gate:
    """Holds requests until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, _: web.Request) -> web.StreamResponse | None:
        await self.open.wait()
        return None


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


async def test_calls_that_begin_while_a_question_is_on_its_way_share_the_next(client: Client, r: LittleRegistry) -> None:
    old = r.push(APP, "1")
    r.interrupt = gate = Gate()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(client.digest(r.registry, r.image(APP, "1")))
        await until(lambda: len(r.requests) == 1)
        later = [group.create_task(client.digest(r.registry, r.image(APP, "1"))) for _ in range(20)]
        recent = group.create_task(client.digest(r.registry, r.image(APP, "1"), at_most_old=60))
        await asyncio.sleep(0.02)
        assert len(r.requests) == 1
        gate.open.set()

    assert (first.result(), recent.result()) == (old, old)
    assert {task.result() for task in later} == {old}
    assert len(r.requests) == 2


async def test_the_next_question_is_asked_after_the_calls_that_share_it(client: Client, r: LittleRegistry) -> None:
    old = r.push(APP, "1")
    answered = asyncio.Event()

    async def slowly(_: web.Request) -> web.StreamResponse | None:
        digest = r.tags[APP]["1"]
        await answered.wait()
        return web.Response(headers={"Docker-Content-Digest": digest}, content_type=MANIFEST)

    r.interrupt = slowly
    async with asyncio.TaskGroup() as group:
        first = group.create_task(client.digest(r.registry, r.image(APP, "1")))
        await until(lambda: len(r.requests) == 1)
        new = r.push(APP, "1")
        second = group.create_task(client.digest(r.registry, r.image(APP, "1")))
        await asyncio.sleep(0.02)
        answered.set()

    assert (first.result(), second.result()) == (old, new)


async def test_a_failure_is_shared_but_not_remembered(client: Client, r: LittleRegistry) -> None:
    pushed = r.push(APP, "1")
    r.interrupt = always(lambda: web.Response(status=500))
    questions = (client.digest(r.registry, r.image(APP, "1"), at_most_old=60) for _ in range(5))
    failed = await asyncio.gather(*questions, return_exceptions=True)
    r.interrupt = None

    assert [str(failure) for failure in failed] == [f"{r.host} is in trouble (500)"] * 5
    assert len(r.requests) == 1
    assert await client.digest(r.registry, r.image(APP, "1"), at_most_old=60) == pushed


async def test_one_who_loses_patience_does_not_disturb_the_others(client: Client, r: LittleRegistry) -> None:
    pushed = r.push(APP, "1")
    r.interrupt = gate = Gate()
    impatient, patient = (asyncio.create_task(client.digest(r.registry, r.image(APP, "1"), at_most_old=60)) for _ in range(2))
    await until(lambda: len(r.requests) == 1)
    impatient.cancel()
    await asyncio.sleep(0.01)
    gate.open.set()

    assert await patient == pushed
    assert impatient.cancelled()


async def test_a_question_that_nobody_waits_for_is_taken_back_and_can_be_asked_again(client: Client, r: LittleRegistry) -> None:
    pushed = r.push(APP, "1")
    r.interrupt = Gate()
    lonely = asyncio.create_task(client.digest(r.registry, r.image(APP, "1")))
    await until(lambda: len(r.requests) == 1)
    lonely.cancel()
    await asyncio.wait([lonely])
    r.interrupt = None

    assert await client.digest(r.registry, r.image(APP, "1"), at_most_old=60) == pushed


async def test_a_registry_is_asked_so_much_at_once_and_no_more(client: Client, r: LittleRegistry) -> None:
    for number in range(3 * MOST_AT_ONCE):
        r.push(APP, str(number))
    r.interrupt = gate = Gate()
    async with asyncio.TaskGroup() as group:
        for number in range(3 * MOST_AT_ONCE):
            group.create_task(client.digest(r.registry, r.image(APP, str(number))))
        await until(lambda: len(r.requests) == MOST_AT_ONCE)
        await asyncio.sleep(0.05)
        assert len(r.requests) == MOST_AT_ONCE
        gate.open.set()

    assert len(r.requests) == 3 * MOST_AT_ONCE


# --- tags


async def test_tags_are_read_page_by_page(client: Client) -> None:
    async with registry(page=3) as r:
        for number in range(10):
            r.push(APP, f"1.{number}")
        found = await client.tags(r.registry, f"{r.host}/{APP}")

    assert found == [f"1.{number}" for number in range(10)]
    assert r.asked()[:2] == [f"GET /v2/{APP}/tags/list?n=1000", f"GET /v2/{APP}/tags/list?last=1.2&n=3"]
    assert len(r.requests) == 4


def page(*tags: object, link: str | None = None) -> web.Response:
    return web.json_response({"name": APP, "tags": list(tags)}, headers={} if link is None else {"Link": link})


async def test_the_next_page_may_be_named_in_full_or_by_half(client: Client, r: LittleRegistry) -> None:
    pages = [
        page("a", link=f'<http://{r.host}/v2/acme/app/tags/list?last=a>; rel="next"'),
        page("a", "b", link=f'<https://{r.host}/v2/acme/app/tags/list?last=b>; rel="next"'),
        page("c", link="<?last=c>; rel=next"),
        page("d", "not a tag", ".e"),
    ]
    r.interrupt = always(lambda: pages.pop(0))

    assert await client.tags(r.registry, f"{r.host}/{APP}") == ["a", "b", "c", "d"]
    assert [target.partition("?")[2] for target in r.asked()] == ["n=1000", "last=a", "last=b", "last=c"]


@pytest.mark.parametrize(
    "link", ["<http://other.example/v2/>; rel=next", '<//127.0.0.2/>; rel="next"', "<https://127.0.0.1.evil.example>; rel=next"]
)
async def test_pages_on_another_host_are_not_read(client: Client, r: LittleRegistry, link: str) -> None:
    r.interrupt = always(lambda: page("a", link=link))

    assert "another host" in await unanswered(client.tags(r.registry, f"{r.host}/{APP}"))
    assert len(r.requests) == 1


@pytest.mark.parametrize(
    "link", ["<ftp://127.0.0.1/>; rel=next", "<http://u:p@127.0.0.1/>; rel=next", "<http://[>; rel=next", "<a b>; rel=next"]
)
async def test_pages_at_an_address_that_is_none_are_not_read(client: Client, r: LittleRegistry, link: str) -> None:
    r.interrupt = always(lambda: page("a", link=link))

    assert "do not understand" in await unanswered(client.tags(r.registry, f"{r.host}/{APP}"))


async def test_a_repository_without_tags_has_none(client: Client, r: LittleRegistry) -> None:
    r.interrupt = always(lambda: web.json_response({"name": APP, "tags": None}))

    assert await client.tags(r.registry, f"{r.host}/{APP}") == []


async def test_a_repository_that_is_not_there_is_no_answer(client: Client, r: LittleRegistry) -> None:
    assert await unanswered(client.tags(r.registry, f"{r.host}/{APP}")) == f"{r.host} has no {APP}, or does not show it to us (404)"


async def test_pages_without_end_are_not_read_for_ever(client: Client, r: LittleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags_module, "MOST_PAGES", 5)
    r.interrupt = always(lambda: page("a", link="<?last=a>; rel=next"))

    assert "more than 5 pages" in await unanswered(client.tags(r.registry, f"{r.host}/{APP}"))
    assert len(r.requests) == 5


async def test_more_tags_than_anybody_needs_are_not_read(client: Client, r: LittleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags_module, "MOST_TAGS", 2)
    r.interrupt = always(lambda: page("a", "b", "c"))

    assert "more than 2 tags" in await unanswered(client.tags(r.registry, f"{r.host}/{APP}"))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"tags": "a"}', b'{"tags": [1]}', b'{"tags": ["\\ud800"]}', b"\xff", b"[" * 100_000]
)
async def test_what_is_no_list_of_tags_is_no_answer(client: Client, r: LittleRegistry, body: bytes) -> None:
    r.interrupt = always(lambda: web.Response(body=body, content_type="application/json"))

    assert await unanswered(client.tags(r.registry, f"{r.host}/{APP}")) == f"{r.host} does not answer with a list of tags"


# --- platforms


async def test_an_index_says_where_its_images_run(client: Client, r: LittleRegistry) -> None:
    digest = r.push(APP, "1", platforms=("linux/amd64", "linux/arm/v7", "linux/arm64/v8", "windows/amd64"))

    assert await client.platforms(r.registry, r.image(APP, digest=digest)) == {
        "linux/amd64",
        "linux/arm/v7",
        "linux/arm64",
        "windows/amd64",
    }


@pytest.mark.parametrize(
    ("platform", "said"), [("linux/arm64/v8", "linux/arm64"), ("linux/arm/v7", "linux/arm/v7"), ("linux/amd64", "linux/amd64")]
)
async def test_a_single_image_says_in_its_configuration_where_it_runs(client: Client, r: LittleRegistry, platform: str, said: str) -> None:
    digest = r.push(APP, "1", platforms=(platform,))

    assert await client.platforms(r.registry, r.image(APP, digest=digest)) == {said}


async def test_attestations_run_nowhere(client: Client, r: LittleRegistry) -> None:
    digest = r.push_with_attestation(APP, "1", "https://slsa.dev/provenance/v1")

    assert await client.platforms(r.registry, r.image(APP, digest=digest)) == {"linux/amd64"}


async def test_where_an_image_runs_is_asked_once(client: Client, r: LittleRegistry) -> None:
    digest = r.push(APP, "1")

    for _ in range(3):
        assert await client.platforms(r.registry, r.image(APP, "1", digest)) == {"linux/amd64"}
    assert len(r.requests) == 2


async def test_without_a_digest_it_is_the_platforms_of_the_tag(client: Client, r: LittleRegistry) -> None:
    r.push(APP, "1", platforms=("linux/arm64",))

    assert await client.platforms(r.registry, r.image(APP, "1")) == {"linux/arm64"}
    assert await unanswered(client.platforms(r.registry, r.image(APP, "2"))) == f"{r.host} has no {APP}:2"


async def test_an_image_of_which_the_index_says_nothing_is_asked_itself(client: Client, r: LittleRegistry) -> None:
    inner = r.index(APP, [r.descriptor(APP, r.image_for(APP, "linux/s390x", "too deep"))])
    entries = [r.descriptor(APP, r.image_for(APP, "linux/riscv64", "silent")), r.descriptor(APP, inner)]
    digest = r.index(APP, [*entries, {**entries[0], "platform": platform_of("linux/amd64")}])

    assert await client.platforms(r.registry, r.image(APP, digest=digest)) == {"linux/amd64", "linux/riscv64"}


async def test_an_image_that_is_not_there_runs_nowhere_we_know(client: Client, r: LittleRegistry) -> None:
    nobody = digest_of(b"nobody")

    assert await unanswered(client.platforms(r.registry, r.image(APP, digest=nobody))) == f"{r.host} has no {APP}@{nobody}"


async def test_bytes_that_are_not_the_digest_are_not_believed(client: Client, r: LittleRegistry) -> None:
    r.says_digests = False
    forged = r.push(APP, "1")
    r.manifests[APP, forged] = (MANIFEST, r.manifests[APP, forged][1] + b" ")
    config = r.push(APP, "2")
    for digest in list(r.blobs):
        r.blobs[digest] += b" "

    for digest in (forged, config):
        assert "answers with something else than sha256:" in await unanswered(client.platforms(r.registry, r.image(APP, digest=digest)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'"index"',
        b'{"manifests": 5}',
        b'{"manifests": [{"digest": "sha256:no"}]}',
        b'{"manifests": [], "layers": []}',
        b'{"manifests": [], "mediaType": "application/vnd.oci.image.manifest.v1+json"}',
        b'{"manifests": [], "mediaType": "\\ud800"}',
        b"[" * 100_000,
        b'{"layers": []}',
    ],
)
async def test_a_manifest_that_cannot_be_understood_is_no_answer(client: Client, r: LittleRegistry, content: bytes) -> None:
    digest = r.keep(APP, INDEX, content)

    await unanswered(client.platforms(r.registry, r.image(APP, digest=digest)))


@pytest.mark.parametrize("config", [b"", b"[]", b'{"os": 5}'])
async def test_a_configuration_that_cannot_be_understood_is_no_answer(client: Client, r: LittleRegistry, config: bytes) -> None:
    digest = r.manifest(APP, Layer(CONFIG, config), [])

    assert "configuration cannot be understood" in await unanswered(client.platforms(r.registry, r.image(APP, digest=digest)))


async def test_what_is_no_program_runs_nowhere(client: Client, r: LittleRegistry) -> None:
    digest = r.manifest(APP, Layer("application/vnd.cncf.helm.config.v1+json", b'{"name": "chart"}'), [])

    assert await client.platforms(r.registry, r.image(APP, digest=digest)) == frozenset()


# --- when it wants to be asked again


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "999999999999"}, 21_600),
        ({"Retry-After": "soon"}, 60),
        ({"RateLimit-Remaining": "0;w=900"}, 900),
        ({"RateLimit-Remaining": "0;w=21600", "Retry-After": "5"}, 5),
        ({"RateLimit-Remaining": "1;w=900"}, 60),
        ({}, 60),
    ],
)
async def test_a_busy_registry_is_left_alone_until_it_wants_to_be_asked(headers: dict[str, str], seconds: int) -> None:
    clock = Clock()
    async with registry() as r, new_client(clock=clock) as client:
        r.push(APP, "1")
        r.busy = headers
        with pytest.raises(Unanswered, match=r"wants to be asked again in \d+ s \(429\)") as first:
            await client.digest(r.registry, r.image(APP, "1"))
        r.busy = None
        assert first.value.retry_after is not None
        assert first.value.retry_after.total_seconds() == pytest.approx(seconds, abs=0)

        clock.now += first.value.retry_after.total_seconds() - 1
        with pytest.raises(Unanswered, match=r"wants to be asked again in 1 s \(429\)") as second:
            await client.tags(r.registry, f"{r.host}/acme/other")
        assert second.value.retry_after is not None
        assert second.value.retry_after.total_seconds() == pytest.approx(1)
        assert len(r.requests) == 1

        clock.now += 1
        assert await client.digest(r.registry, r.image(APP, "1")) is not None


async def test_a_busy_registry_may_name_the_date_on_which_it_wants_to_be_asked_again(client: Client, r: LittleRegistry) -> None:
    r.push(APP, "1")
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    r.busy = {"Retry-After": format_datetime(in_an_hour, usegmt=True)}

    with pytest.raises(Unanswered, match=r"\(429\)") as busy:
        await client.digest(r.registry, r.image(APP, "1"))

    assert busy.value.retry_after is not None
    assert busy.value.retry_after.total_seconds() == pytest.approx(3600, abs=300)


async def test_that_one_registry_is_busy_is_nothing_to_another(client: Client, r: LittleRegistry) -> None:
    r.busy = {"Retry-After": "60"}
    await unanswered(client.digest(r.registry, r.image(APP, "1")))
    async with registry() as other:
        pushed = other.push(APP, "1")
        assert await client.digest(other.registry, other.image(APP, "1")) == pushed


async def test_those_who_waited_for_a_place_hear_that_it_is_busy(client: Client, r: LittleRegistry) -> None:
    r.busy = {"Retry-After": "60"}
    questions = (client.digest(r.registry, r.image(APP, str(number))) for number in range(5 * MOST_AT_ONCE))
    answers = await asyncio.gather(*questions, return_exceptions=True)

    assert all(isinstance(answer, Unanswered) and "(429)" in str(answer) for answer in answers)
    assert len(r.requests) <= MOST_AT_ONCE


async def test_a_busy_desk_for_tokens_makes_the_registry_rest(client: Client) -> None:
    async with registry(wants="bearer") as r:
        r.interrupt = always(lambda: web.Response(status=429, headers={"Retry-After": "30"}), "/token")
        said = await unanswered(client.digest(r.registry, r.image(APP, "1")))

    assert said == f"{r.host} wants to be asked again in 30 s (429)"


async def test_a_registry_in_trouble_may_say_for_how_long(client: Client, r: LittleRegistry) -> None:
    r.interrupt = always(lambda: web.Response(status=503, headers={"Retry-After": "30"}))

    with pytest.raises(Unanswered, match=r"is in trouble \(503\)") as caught:
        await client.digest(r.registry, r.image(APP, "1"))
    assert caught.value.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize(("status", "words"), [(403, "does not let us see acme/app (403)"), (418, "does not understand what we ask (418)")])
async def test_every_other_answer_is_a_sentence(client: Client, r: LittleRegistry, status: int, words: str) -> None:
    r.interrupt = always(lambda: web.Response(status=status))

    assert await unanswered(client.digest(r.registry, r.image(APP, "1"))) == f"{r.host} {words}"


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_wait_is_never_negative_nor_longer_than_six_hours(after: str, remaining: str) -> None:
    wait = wait_of({"retry-after": after, "ratelimit-remaining": remaining}, datetime.now(UTC))

    assert wait is None or timedelta(seconds=1) <= wait <= timedelta(hours=6)


# --- proving who we are


async def test_a_token_is_fetched_once_it_is_wanted_and_used_until_it_expires() -> None:
    clock = Clock()
    async with registry(wants="bearer", credentials=CREDENTIALS, expires_in=300) as r, new_client(clock=clock) as client:
        pushed = r.push(APP, "1")
        for _ in range(3):
            assert await client.digest(r.registry, r.image(APP, "1")) == pushed
        scope = "service=little+registry&scope=repository:acme/app:pull"
        head = f"HEAD /v2/{APP}/manifests/1"
        assert r.asked() == [head, f"GET /token?{scope}", head, head, head]
        assert [request.authorization for request in r.requests[:2]] == [None, basic(CREDENTIALS)]

        clock.now += 300
        r.tokens.clear()
        await client.digest(r.registry, r.image(APP, "1"))
        assert r.asked()[5:] == [f"GET /token?{scope}", head]


async def test_a_token_for_one_repository_is_none_for_another(client: Client) -> None:
    async with registry(wants="bearer") as r:
        r.push(APP, "1")
        r.push("acme/other", "1")
        for path in (APP, "acme/other"):
            assert await client.digest(r.registry, r.image(path, "1")) is not None

    assert len(r.asked("/token")) == 2


async def test_one_token_serves_all_questions_about_a_repository(client: Client) -> None:
    async with registry(wants="bearer") as r:
        digest = r.push(APP, "1")
        await client.tags(r.registry, f"{r.host}/{APP}")
        await asyncio.gather(*(client.digest(r.registry, r.image(APP, "1")) for _ in range(5)))
        await client.platforms(r.registry, r.image(APP, digest=digest))

    assert len(r.asked("/token")) == 1


async def test_a_token_is_not_shared_between_credentials(client: Client) -> None:
    async with registry(wants="bearer") as r:
        r.push(APP, "1")
        for credentials in (None, CREDENTIALS, Credentials("other", "secret")):
            await client.digest(replace(r.registry, credentials=credentials), r.image(APP, "1"))

    desk = [request.authorization for request in r.requests if request.target.startswith("/token")]
    assert desk == [None, basic(CREDENTIALS), basic(Credentials("other", "secret"))]


async def test_a_token_that_is_no_longer_good_is_renewed_once(client: Client) -> None:
    async with registry(wants="bearer") as r:
        pushed = r.push(APP, "1")
        await client.digest(r.registry, r.image(APP, "1"))
        r.tokens.clear()

        assert await client.digest(r.registry, r.image(APP, "1")) == pushed
        assert len(r.asked("/token")) == 2

        r.interrupt = always(lambda: web.json_response({"token": "never-good"}), "/token")
        r.tokens.clear()
        before = len(r.requests)
        said = await unanswered(client.digest(r.registry, r.image(APP, "1")))
        assert said == f"{r.host} does not show {APP} to us without credentials, or does not have it (401)"
        assert len(r.requests) == before + 3


@pytest.mark.parametrize(
    ("body", "lasts"),
    [
        ({"token": "good"}, 60),
        ({"access_token": "good"}, 60),
        ({"token": "good", "access_token": "other", "expires_in": 5}, 5),
        ({"token": "good", "expires_in": None, "issued_at": "whenever"}, 60),
    ],
)
async def test_a_token_has_two_names_and_lasts_a_minute_unless_it_says(body: dict[str, object], lasts: int) -> None:
    clock = Clock()
    async with registry(wants="bearer") as r, new_client(clock=clock) as client:
        r.push(APP, "1")
        r.tokens["good"] = f"repository:{APP}:pull"
        r.interrupt = always(lambda: web.json_response(body), "/token")
        await client.digest(r.registry, r.image(APP, "1"))
        clock.now += lasts - 1
        await client.digest(r.registry, r.image(APP, "1"))
        assert len(r.asked("/token")) == 1
        clock.now += 1
        await client.digest(r.registry, r.image(APP, "1"))
        assert len(r.asked("/token")) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"token": 5}',
        b'{"token": ""}',
        b'{"token": "a b"}',
        b'{"token": "a\\r\\nb"}',
        b'{"token": "t", "expires_in": NaN}',
    ],
)
async def test_what_is_no_token_is_no_answer(client: Client, body: bytes) -> None:
    async with registry(wants="bearer") as r:
        r.interrupt = always(lambda: web.Response(body=body), "/token")
        said = await unanswered(client.digest(r.registry, r.image(APP, "1")))

    assert said == f"{r.host} hands out no token that can be understood"


async def test_credentials_that_are_good_for_other_repositories_are_not_said_to_be_refused(client: Client) -> None:
    async with registry(wants="bearer", credentials=CREDENTIALS) as r:
        r.interrupt = always(lambda: web.json_response({"token": "for-something-else"}), "/token")
        said = await unanswered(client.digest(r.registry, r.image(APP, "1")))

    assert said == f"{r.host} does not show {APP} to our credentials, or does not have it (401)"


@pytest.mark.parametrize("wants", ["bearer", "basic"])
async def test_credentials_that_are_refused_are_said_to_be(client: Client, wants: str) -> None:
    async with registry(wants="bearer" if wants == "bearer" else "basic", credentials=CREDENTIALS) as r:
        r.push(APP, "1")
        wrong = replace(r.registry, credentials=Credentials("robot", "wrong"))
        nobody = replace(r.registry, credentials=None)

        assert await unanswered(client.digest(wrong, r.image(APP, "1"))) == f"{r.host} refuses our credentials (401)"
        assert await unanswered(client.digest(nobody, r.image(APP, "1"))) == f"{r.host} wants credentials, and we have none for it (401)"


async def test_a_password_is_said_once_it_is_wanted(client: Client) -> None:
    async with registry(wants="basic", credentials=CREDENTIALS) as r:
        pushed = r.push(APP, "1")
        for _ in range(2):
            assert await client.digest(r.registry, r.image(APP, "1")) == pushed

    assert [request.authorization for request in r.requests] == [None, basic(CREDENTIALS), basic(CREDENTIALS)]


async def test_nobody_hears_of_credentials_who_does_not_want_them(client: Client, r: LittleRegistry) -> None:
    digest = r.push(APP, "1")
    known = replace(r.registry, credentials=CREDENTIALS)
    await client.platforms(known, r.image(APP, digest=digest))
    await client.tags(known, f"{r.host}/{APP}")

    assert {request.authorization for request in r.requests} == {None}


@pytest.mark.parametrize("offered", ["", "Negotiate", "Bearer", 'Bearer service="x"', 'Digest realm="x"', "???"])
async def test_a_registry_that_wants_what_nobody_knows_is_not_asked_again(client: Client, r: LittleRegistry, offered: str) -> None:
    r.interrupt = always(lambda: web.Response(status=401, headers={"WWW-Authenticate": offered} if offered else {}))

    assert "(401)" in await unanswered(client.digest(replace(r.registry, credentials=CREDENTIALS), r.image(APP, "1")))
    assert len(r.requests) == 1


async def test_the_scope_that_a_registry_wants_is_the_one_that_is_asked_for(client: Client, r: LittleRegistry) -> None:
    challenge = f'Basic realm="x, y", Bearer realm="{r.scheme}://{r.host}/token?a=1",scope="repository:acme/app:pull,metadata_read two"'
    answers = [web.Response(status=401, headers={"WWW-Authenticate": challenge}), web.json_response({"token": "t"}), page("a")]
    r.interrupt = always(lambda: answers.pop(0))

    assert await client.tags(replace(r.registry, credentials=CREDENTIALS), f"{r.host}/{APP}") == ["a"]
    assert r.asked("/token") == ["GET /token?a=1&scope=repository:acme/app:pull,metadata_read&scope=two"]
    assert r.requests[2].authorization == "Bearer t"


async def test_a_registry_that_does_not_say_which_scope_wants_the_usual(client: Client, r: LittleRegistry) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{r.host}/token"'}
    answers = [web.Response(status=401, headers=challenge), web.json_response({"token": "t"}), page("a")]
    r.interrupt = always(lambda: answers.pop(0))
    await client.tags(r.registry, f"{r.host}/{APP}")

    assert r.asked("/token") == ["GET /token?scope=repository:acme/app:pull"]


# --- where a registry may send us


class Elsewhere:
    """An Internet of our own: every name of a registry is this machine, and a socket to any other address is refused and remembered."""

    def __init__(self) -> None:
        self.tried: list[str] = []

    def socket(self, info: AddrInfoType) -> socket:
        family, kind, proto, _, address = info
        if address[0] != "127.0.0.1":
            self.tried.append(str(address[0]))
            raise OSError(ECONNREFUSED, "not in a test")
        return socket(family, kind, proto)


@asynccontextmanager
async def client_among(names: Names, elsewhere: Elsewhere, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Client, Names]]:
    """A client that believes these names when it looks where it is sent; the registry is on this machine all the same."""
    here = Names(registry_acme_example=["127.0.0.1"])
    connector = aiohttp.TCPConnector(resolver=here, socket_factory=elsewhere.socket, ssl=tls or True)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Client(session, resolver=names, seconds=5), here


def wanting(realm: str) -> Callable[[], web.Response]:
    return lambda: web.Response(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'})


def acme(r: LittleRegistry) -> Registry:
    """The registry under its name, with credentials to lose."""
    return Registry(f"registry.acme.example:{r.host.partition(':')[2]}", CREDENTIALS, plain_http=r.scheme == "http")


PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.7", "169.254.169.254", "192.168.1.1", "::1", "fd00::1", "fe80::1", "100.64.0.1", "0.0.0.0", "::ffff:10.0.0.1"],
)
async def test_a_public_registry_may_not_send_us_into_our_own_network(r: LittleRegistry, address: str) -> None:
    names, elsewhere = Names(registry_acme_example=[PUBLIC], inside_acme_example=[address]), Elsewhere()
    async with client_among(names, elsewhere) as (client, _):
        r.interrupt = always(wanting(f"https://inside.acme.example:{r.host.partition(':')[2]}/token"))
        said = await unanswered(client.digest(acme(r), Image("x/acme/app", "1", None)))

    assert said == f"{acme(r).host} sends us to inside.acme.example, which is not on the public Internet; we do not go there"
    assert (len(r.requests), elsewhere.tried) == (1, [])


@pytest.mark.parametrize("literal", ["127.0.0.1", "10.0.0.7", "[::1]", "2130706433", "localhost"])
async def test_nor_does_it_matter_how_the_address_is_written(r: LittleRegistry, literal: str) -> None:
    elsewhere = Elsewhere()
    names = Names(registry_acme_example=[PUBLIC])
    names.addresses |= {
        "127.0.0.1": ["127.0.0.1"],
        "10.0.0.7": ["10.0.0.7"],
        "::1": ["::1"],
        "2130706433": ["127.0.0.1"],
        "localhost": ["::1"],
    }
    async with client_among(names, elsewhere) as (client, _):
        r.interrupt = always(wanting(f"https://{literal}:{r.host.partition(':')[2]}/token"))
        said = await unanswered(client.digest(acme(r), Image("x/acme/app", "1", None)))

    assert "not on the public Internet" in said
    assert (len(r.requests), elsewhere.tried) == (1, [])


async def test_of_the_addresses_of_a_name_only_the_public_ones_are_tried(r: LittleRegistry) -> None:
    names, elsewhere = Names(registry_acme_example=[PUBLIC], auth_acme_example=["10.0.0.7", PUBLIC, "2606:4700::1"]), Elsewhere()
    async with client_among(names, elsewhere) as (client, here):
        r.interrupt = always(wanting("https://auth.acme.example/token"))
        said = await unanswered(client.digest(acme(r), Image("x/acme/app", "1", None)))

    assert said == f"auth.acme.example, where {acme(r).host} sends us, cannot be reached: Connection refused"
    assert elsewhere.tried == [PUBLIC, "2606:4700::1"]
    assert here.asked == ["registry.acme.example"]


async def test_a_registry_in_our_own_network_may_send_us_around_in_it() -> None:
    authority = trustme.CA()
    async with registry(tls=tls_for(authority, "auth.acme.example")) as desk, registry(wants="bearer", credentials=CREDENTIALS) as r:
        names = Names(registry_acme_example=["10.0.0.7"], auth_acme_example=["127.0.0.1"])
        async with client_among(names, Elsewhere(), trusting(authority)) as (client, here):
            pushed = r.push(APP, "1")
            port = desk.host.partition(":")[2]
            r.realm = f"https://auth.acme.example:{port}/token"
            desk.credentials, desk.tokens = CREDENTIALS, r.tokens
            assert await client.digest(acme(r), Image("x/acme/app", "1", None)) == pushed

    assert [request.host for request in desk.requests] == [f"auth.acme.example:{port}"]
    assert (names.asked, here.asked) == (["auth.acme.example", "registry.acme.example"], ["registry.acme.example"])


def tls_for(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_the_address_is_not_enough_where_a_certificate_must_name_the_host() -> None:
    authority = trustme.CA()
    async with registry(tls=tls_for(authority, "other.acme.example", "127.0.0.1")) as desk, registry(wants="bearer") as r:
        names = Names(registry_acme_example=["10.0.0.7"], auth_acme_example=["127.0.0.1"])
        async with client_among(names, Elsewhere(), trusting(authority)) as (client, _):
            r.realm = f"https://auth.acme.example:{desk.host.partition(':')[2]}/token"
            said = await unanswered(client.digest(acme(r), Image("x/acme/app", "1", None)))

    assert said.endswith("does not prove by its certificate who it is")
    assert desk.requests == []


async def test_a_registry_may_send_us_to_itself_wherever_it_is(r: LittleRegistry) -> None:
    names = Names(registry_acme_example=[PUBLIC])
    async with client_among(names, Elsewhere()) as (client, _):
        answers = [wanting(f"http://{acme(r).host}/token")(), web.json_response({"token": "t"}), page("a")]
        r.interrupt = always(lambda: answers.pop(0))

        assert await client.tags(acme(r), "x/acme/app") == ["a"]
    assert names.asked == []


async def test_over_plain_http_a_password_goes_to_the_registry_only(r: LittleRegistry) -> None:
    names, elsewhere = Names(registry_acme_example=["127.0.0.1"], auth_acme_example=["127.0.0.1"]), Elsewhere()
    async with client_among(names, elsewhere) as (client, _):
        r.interrupt = always(wanting(f"http://auth.acme.example:{r.host.partition(':')[2]}/token"))
        said = await unanswered(client.digest(acme(r), Image("x/acme/app", "1", None)))

    assert said == f"{acme(r).host} sends us to auth.acme.example over plain http; we only go there over https"
    assert [request.authorization for request in r.requests] == [None]


async def test_a_registry_with_tls_sends_nobody_to_a_desk_without() -> None:
    authority = trustme.CA()
    async with registry(tls=tls_for(authority, "127.0.0.1")) as r, registry() as plain, new_client(tls=trusting(authority)) as client:
        r.interrupt = always(wanting(f"http://{plain.host}/token"))
        said = await unanswered(client.digest(replace(r.registry, credentials=CREDENTIALS), r.image(APP, "1")))

    assert "over plain http" in said
    assert plain.requests == []


async def test_a_registry_with_tls_is_never_asked_without() -> None:
    async with registry() as plain, new_client() as client:
        said = await unanswered(client.digest(Registry(plain.host, CREDENTIALS), plain.image(APP, "1")))

    assert said == f"{plain.host} does not speak TLS as we do"
    assert plain.requests == []


async def test_a_certificate_nobody_vouches_for_is_not_believed() -> None:
    async with registry(tls=tls_for(trustme.CA(), "127.0.0.1")) as r, new_client() as client:
        said = await unanswered(client.digest(Registry(r.host), r.image(APP, "1")))

    assert said == f"{r.host} does not prove by its certificate who it is"


@pytest.mark.parametrize(
    "realm", ["https://u:p@auth.example/", "ftp://auth.example/", "https://", "https://auth.example:99999/", "a b", "https://a\u00e9"]
)
async def test_a_desk_at_an_address_that_is_none_is_not_asked(client: Client, r: LittleRegistry, realm: str) -> None:
    r.interrupt = always(wanting(realm))

    await unanswered(client.digest(r.registry, r.image(APP, "1")))
    assert len(r.requests) == 1 or realm == "a b"


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"])
def test_these_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255",
        "224.0.0.1", "240.0.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "ff0e::1", "::7f00:1",
        "::ffff:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::1", "2001:db8::1",
        "localhost", "", "2130706433", "127.1",
    ],
)  # fmt: skip
def test_these_addresses_are_not(address: str) -> None:
    assert not is_public(address)


# --- blobs elsewhere


def moved(location: str, status: int = 307) -> Callable[[], web.Response]:
    return lambda: web.Response(status=status, headers={"Location": location})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_blob_may_be_kept_on_another_host_which_never_hears_our_proof(client: Client, status: int) -> None:
    async with registry() as store, registry(wants="bearer", credentials=CREDENTIALS) as r:
        digest = r.push(APP, "1")
        store.blobs = r.blobs
        port = store.host.partition(":")[2]
        blob = r.manifests[APP, digest][1]
        where = f"http://127.0.0.1:{port}/v2/x/blobs/{json.loads(blob)['config']['digest']}?X-Amz-Signature=a%2Fb%20c"
        r.interrupt = redirecting(r, where, status)

        assert await client.platforms(r.registry, r.image(APP, digest=digest)) == {"linux/amd64"}
    assert [(request.authorization, request.target.partition("?")[2]) for request in store.requests] == [
        (None, "X-Amz-Signature=a%2Fb%20c")
    ]


def redirecting(r: LittleRegistry, where: str, status: int = 307) -> Interrupt:
    """Whoever may see a blob is sent elsewhere."""

    async def interrupt(request: web.Request) -> web.StreamResponse | None:
        is_known = "Authorization" in request.headers or r.wants is None
        return moved(where, status)() if "/blobs/" in request.path and is_known else None

    return interrupt


async def test_a_redirect_within_the_registry_keeps_the_proof(client: Client) -> None:
    async with registry(wants="basic", credentials=CREDENTIALS) as r:
        digest = r.push(APP, "1")
        config = json.loads(r.manifests[APP, digest][1])["config"]["digest"]
        found = r.blobs[config]

        async def interrupt(request: web.Request) -> web.StreamResponse | None:
            if "/blobs/" in request.path and "Authorization" in request.headers:
                return moved("/v2/store/elsewhere")()
            return web.Response(body=found) if "elsewhere" in request.path else None

        r.interrupt = interrupt
        assert await client.blob(r.registry, f"{r.host}/{APP}", config) == found
    assert r.requests[-1].authorization == basic(CREDENTIALS)


async def test_redirects_are_followed_three_times(client: Client, r: LittleRegistry) -> None:
    r.interrupt = always(moved("/v2/again"))

    assert await unanswered(client.blob(r.registry, f"{r.host}/{APP}", digest_of(b"x"))) == f"{r.host} redirects us more than 3 times"
    assert len(r.requests) == 4


@pytest.mark.parametrize("location", ["", "http://u:p@127.0.0.1/", "gopher://127.0.0.1/", "http://[", "http://a b/"])
async def test_a_redirect_to_nowhere_is_no_answer(client: Client, r: LittleRegistry, location: str) -> None:
    r.interrupt = always(moved(location))

    await unanswered(client.blob(r.registry, f"{r.host}/{APP}", digest_of(b"x")))


async def test_manifests_and_tags_are_not_looked_for_elsewhere(client: Client, r: LittleRegistry) -> None:
    r.interrupt = always(moved("/v2/elsewhere"))

    for question in (client.digest(r.registry, r.image(APP, "1")), client.tags(r.registry, f"{r.host}/{APP}")):
        assert await unanswered(question) == f"{r.host} sends us elsewhere for {APP}, and we do not follow, (307)"
    assert len(r.requests) == 2


async def test_a_registry_with_tls_does_not_send_us_for_a_blob_without() -> None:
    authority = trustme.CA()
    async with registry(tls=tls_for(authority, "127.0.0.1")) as r, registry() as plain, new_client(tls=trusting(authority)) as client:
        digest = r.push(APP, "1")
        r.interrupt = redirecting(r, f"http://{plain.host}/")
        said = await unanswered(client.platforms(r.registry, r.image(APP, digest=digest)))

    assert "over plain http" in said
    assert plain.requests == []


async def test_a_public_registry_does_not_send_us_into_our_network_for_a_blob(r: LittleRegistry) -> None:
    elsewhere = Elsewhere()
    async with client_among(Names(registry_acme_example=[PUBLIC], metadata_acme_example=["169.254.169.254"]), elsewhere) as (client, _):
        digest = r.push(APP, "1")
        r.interrupt = redirecting(r, "https://metadata.acme.example/latest")
        said = await unanswered(client.platforms(acme(r), Image("x/acme/app", None, digest)))

    assert "not on the public Internet" in said
    assert elsewhere.tried == []


# --- whoever does not play by the rules


async def test_more_than_four_megabytes_are_not_read(client: Client, r: LittleRegistry) -> None:
    r.interrupt = always(lambda: web.Response(body=b"x" * (MOST_READ + 1), content_type=MANIFEST))

    assert await unanswered(client.manifest(r.registry, f"{r.host}/{APP}", "1")) == f"{r.host} answers with more than 4 MB"


async def test_four_megabytes_are(client: Client, r: LittleRegistry) -> None:
    content = b"x" * MOST_READ
    r.blobs[digest_of(content)] = content

    assert await client.blob(r.registry, f"{r.host}/{APP}", digest_of(content)) == content


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: " + MANIFEST.encode() + b"\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"220 mail.acme.example ESMTP\r\n",
        b"HTTP/1.1 999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: a\r\nContent-Length: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"Content-Length: 100\r\n\r\nshort",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        HEAD + b"Docker-Content-Digest: \xff\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 X\r\nWWW-Authenticate: Bearer realm=\"http://\xff\xfe/\",service=\"\xff\"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 307 X\r\nLocation: http://\xff\xfe/\r\nContent-Length: 0\r\n\r\n",
        b"\x00\xff" * 5000,
    ],
)  # fmt: skip
async def test_whatever_is_said_nothing_but_unanswered_comes_of_it(client: Client, answer: bytes) -> None:
    async with saying(answer) as rude:
        repository = f"{rude.host}/{APP}"
        for question in (
            client.digest(rude, Image(repository, "1", None)),
            client.tags(rude, repository),
            client.platforms(rude, Image(repository, None, digest_of(b"x"))),
            client.blob(rude, repository, digest_of(b"x")),
            client.referrers(rude, repository, digest_of(b"x")),
        ):
            await unanswered(question)


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200", HEAD + b"Content-Length: 5\r\n\r\n12"])
async def test_a_registry_that_drips_is_not_waited_for(beginning: bytes) -> None:
    async with saying(beginning, then_wait=3) as slow, new_client(seconds=0.2) as client:
        said = await unanswered(client.tags(slow, f"{slow.host}/{APP}"))

    assert said == f"{slow.host} does not answer within 0.2 s"


async def test_a_host_that_does_not_listen_or_exist_is_said_to_be_so(r: LittleRegistry) -> None:
    async with saying(b"") as gone:
        pass
    async with client_among(Names(), Elsewhere()) as (client, _):
        deaf = await unanswered(client.digest(gone, Image("x/app", "1", None)))
        unknown = await unanswered(client.digest(Registry("nobody.acme.example"), Image("x/app", "1", None)))

    assert deaf == f"{gone.host} cannot be reached: Connection refused"
    assert unknown == "nobody.acme.example is a name that cannot be resolved"


async def test_a_password_is_in_nothing_that_can_be_read(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with registry(wants="bearer", credentials=CREDENTIALS) as r:
        r.interrupt = always(lambda: web.Response(status=500, text=f"{CREDENTIALS.password} {basic(CREDENTIALS)}"), "/token")
        with pytest.raises(Unanswered) as caught:
            await client.digest(r.registry, r.image(APP, "1"))

    readable = repr(r.registry) + repr(caught.value) + str(caught.value) + caplog.text
    assert CREDENTIALS.password not in readable
    assert basic(CREDENTIALS).split()[1] not in readable


async def test_no_proxy_of_the_environment_and_no_cookie_comes_in_between(r: LittleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    r.push(APP, "1")
    r.interrupt = always(lambda: web.json_response({"tags": []}, headers={"Set-Cookie": "a=b; Path=/"}), "/tags/")
    async with new_client() as client:
        await client.tags(r.registry, f"{r.host}/{APP}")
        assert await client.digest(r.registry, r.image(APP, "1")) is not None

    assert not any("Cookie" in request.headers for request in r.requests)


# --- the grammar of headers


WORDS = st.text("abcXYZ019-._~", min_size=1, max_size=8).filter(lambda word: not word.endswith("="))
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


def quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


@st.composite
def written_challenges(draw: st.DrawFn) -> tuple[str, list[Challenge]]:
    """A header, and what it means."""
    meant, parts = [], []
    for scheme in draw(st.lists(st.sampled_from(["Bearer", "basic", "DIGEST"]), max_size=4)):
        known = draw(st.dictionaries(st.sampled_from(["realm", "service", "scope", "error"]), VALUES, min_size=1))
        spelled = [
            f"{draw(st.sampled_from([str.upper, str.lower]))(name)}{draw(SPACE)}={draw(SPACE)}{quoted(value)}"
            for name, value in known.items()
        ]
        parts.append(f"{scheme} " + f"{draw(SPACE)},{draw(SPACE)}".join(spelled))
        meant.append(Challenge(scheme.lower(), known.get("realm"), known.get("service"), known.get("scope")))
    return f"{draw(SPACE)},{draw(SPACE)}".join(parts), meant


SPACE = st.sampled_from(["", " ", "\t "])


@given(written_challenges())
def test_challenges_are_read_as_they_were_written(written: tuple[str, list[Challenge]]) -> None:
    header, meant = written

    assert challenges(header) == meant


@given(st.text(max_size=200) | st.text('Bb earealm="\\,; =~x', max_size=200))
def test_whatever_a_header_says_it_is_read_without_complaint(header: str) -> None:
    for challenge in challenges(header):
        assert challenge.scheme == challenge.scheme.lower()
    preferred(challenges(header))
    next_page(header)


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
            ("bearer", "repository:a/b:pull,push"),
        ),
        ("Bearer realm=https", ("bearer", None)),
        ('Negotiate, Basic realm="x", Bearer realm="y"', ("bearer", None)),
        ('Negotiate abc==, Basic realm="say \\"Bearer realm=z\\", please"', ("basic", None)),
        ("basic", ("basic", None)),
        ('Bearer service="no realm", Basic', ("basic", None)),
    ],
)
def test_of_several_challenges_a_token_is_preferred(header: str, meant: tuple[str, str | None]) -> None:
    chosen = preferred(challenges(header))

    assert chosen is not None
    assert (chosen.scheme, chosen.scope) == meant


@pytest.mark.parametrize(
    "header",
    ["Bearer " + "a" * 50_000, 'Bearer realm="' + "\\a" * 20_000, "," * 50_000, "a=" * 25_000, "<a>;" + "b ;" * 20_000, "<" * 50_000],
)
def test_a_header_made_to_be_slow_is_not(header: str) -> None:
    challenges(header)
    next_page(header)


@given(
    st.lists(
        st.tuples(st.text("abc/?=&,;%", max_size=12), st.sampled_from(["prev", "NEXT", "last next", "first"]), WORDS, VALUES), max_size=5
    )
)
def test_the_next_page_is_the_first_link_that_says_so(links: list[tuple[str, str, str, str]]) -> None:
    header = ", ".join(f"<{target}>; title={quoted(title)}; x{word}; rel={quoted(rel)}; rel=next" for target, rel, word, title in links)
    meant = next((target for target, rel, _, _ in links if "next" in rel.lower()), None)

    assert next_page(header) == meant


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ('</v2/a/tags/list?last=b&n=2>; rel="next"', "/v2/a/tags/list?last=b&n=2"),
        ("<https://a.example/x,y;z>;rel=next", "https://a.example/x,y;z"),
        ('<a>; title="; rel=next"', None),
        ("<a>", None),
        ("", None),
    ],
)
def test_links_as_registries_write_them(header: str, meant: str | None) -> None:
    assert next_page(header) == meant


def test_a_request_is_told_in_one_line() -> None:
    assert str(Asked("GET", "/v2/", None, "h", {})) == "GET /v2/"
