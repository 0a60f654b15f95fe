"""What a registry answers about an image: the digest of its tag, the tags there are, where it runs, what refers to it."""

from collections.abc import Callable
from time import monotonic

import aiohttp
from aiohttp.abc import AbstractResolver

from domain.images import Image
from domain.registries import Registry, Unanswered
from registries.oci.asking import Asking
from registries.oci.contents import Contents, Kept
from registries.oci.flights import Flights
from registries.oci.manifests import Descriptor
from registries.oci.memory import Memory
from registries.oci.platforms import platforms
from registries.oci.tags import tags
from registries.oci.wire import PATIENCE, Wire

_MOST_REMEMBERED = 10_000


class Client:
    """Asks registries; whatever keeps one from answering is Unanswered. Sessions for it are made in `session`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        resolver: AbstractResolver | None = None,
        seconds: float = PATIENCE,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._asking = Asking(Wire(session, resolver or aiohttp.ThreadedResolver(), seconds, clock), clock)
        self._contents = Contents(self._asking)
        self._digests: Flights[tuple[Registry, str, str], str | None] = Flights(clock, _MOST_REMEMBERED)
        self._platforms: Memory[tuple[Registry, str, str], frozenset[str]] = Memory(_MOST_REMEMBERED)

    async def digest(self, registry: Registry, image: Image, *, at_most_old: float = 0.0) -> str | None:
        """The digest that an image's tag has now, or None when there is no such tag; an answer asked for so many seconds ago will do."""
        path, reference = _path(image.repository), image.tag or image.release
        return await self._digests.answer(
            (registry, path, reference), at_most_old, lambda: self._contents.digest(registry, path, reference)
        )

    async def tags(self, registry: Registry, repository: str) -> list[str]:
        """All tags of a repository, such as docker.io/library/nginx."""
        return await tags(self._asking, registry, _path(repository))

    async def platforms(self, registry: Registry, image: Image) -> frozenset[str]:
        """Where the image with this digest runs, as linux/arm64 and linux/arm/v7; without a digest, the one that its tag has now."""
        path, digest = _path(image.repository), image.digest or await self.digest(registry, image)
        if digest is None:
            raise Unanswered(f"{registry.host} has no {path}:{image.tag}")
        known = self._platforms.get((registry, path, digest))
        if known is None:
            known = await platforms(self._contents, registry, path, digest)
            self._platforms.keep((registry, path, digest), known)
        return known

    async def manifest(self, registry: Registry, repository: str, reference: str) -> Kept | None:
        """What is kept under a tag or digest; None when there is nothing."""
        return await self._contents.manifest(registry, _path(repository), reference)

    async def blob(self, registry: Registry, repository: str, digest: str) -> bytes:
        """The bytes with this digest, at most 4 MB."""
        return await self._contents.blob(registry, _path(repository), digest)

    async def referrers(self, registry: Registry, repository: str, digest: str) -> list[Descriptor]:
        """What refers to a digest: signatures, attestations, lists of parts."""
        return await self._contents.referrers(registry, _path(repository), digest)


def _path(repository: str) -> str:
    """What a registry calls a repository: its name without the registry."""
    return repository.partition("/")[2]
