"""What a registry keeps under a tag or a digest, believed only if its bytes are the ones that were asked for."""

from dataclasses import dataclass, field

from yarl import URL

from domain.registries import Registry, Unanswered
from registries.oci.asking import Asking, expect, refused
from registries.oci.digests import digest_of, is_digest, names
from registries.oci.manifests import ACCEPT, INDEX, MEDIA_TYPES, Descriptor, Manifest, manifest
from registries.oci.tokens import Topic
from registries.oci.wire import Answer, base


@dataclass(frozen=True, slots=True)
class Kept:
    """A manifest, and the bytes that it is."""

    manifest: Manifest
    content: bytes = field(repr=False)


class Contents:
    """Looks up tags, manifests, blobs and what refers to them, by the path of their repository."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def digest(self, registry: Registry, path: str, reference: str) -> str | None:
        """The digest of what is kept under a tag, or None; a registry that does not say it is asked for the bytes."""
        answer = await self._ask(registry, path, reference, "HEAD")
        if answer is None:
            return None
        if (said := answer.headers.get("docker-content-digest")) is not None:
            return _agreed(registry, reference, said)
        whole = await self._get(registry, path, reference)
        return None if whole is None else digest_of(whole.body)

    async def manifest(self, registry: Registry, path: str, reference: str) -> Kept | None:
        """What is kept under a tag or digest; None when there is nothing."""
        answer = await self._get(registry, path, reference)
        return None if answer is None else Kept(_manifest(registry, path, answer), answer.body)

    async def blob(self, registry: Registry, path: str, digest: str) -> bytes:
        """The bytes with this digest, at most 4 MB, from wherever the registry sends us."""
        url = url_of(registry, path, f"blobs/{digest}")
        answer = expect(registry, await self._asking.fetch(registry, Topic(path, "images"), url, "*/*"), f"{path}@{digest}")
        return _checked(registry, digest, answer.body)

    async def referrers(self, registry: Registry, path: str, digest: str) -> list[Descriptor]:
        """What refers to a digest, as far as the first page says; registries that do not know the question keep a list under a tag."""
        answer = await self._asking.ask(registry, Topic(path, "images"), "GET", url_of(registry, path, f"referrers/{digest}"), INDEX)
        if answer.status == 200 and answer.content_type == INDEX:
            return _manifest(registry, path, answer).manifests or []
        if answer.status >= 500 or answer.status == 403:
            raise refused(registry, answer, f"what refers to {path}")
        listed = await self.manifest(registry, path, digest.replace(":", "-"))
        return [] if listed is None else listed.manifest.manifests or []

    async def _get(self, registry: Registry, path: str, reference: str) -> Answer | None:
        answer = await self._ask(registry, path, reference, "GET")
        if answer is not None:
            asked = reference if is_digest(reference) else digest_of(answer.body)
            said = answer.headers.get("docker-content-digest", asked)
            _checked(registry, _agreed(registry, reference, said), answer.body)
        return answer

    async def _ask(self, registry: Registry, path: str, reference: str, method: str) -> Answer | None:
        url = url_of(registry, path, f"manifests/{reference}")
        answer = await self._asking.ask(registry, Topic(path, "images"), method, url, ACCEPT)
        if answer.status == 404:
            return None
        if expect(registry, answer, path).content_type not in MEDIA_TYPES:
            raise Unanswered(f"{registry.host} does not answer with the manifest of an image")
        return answer


def url_of(registry: Registry, path: str, what: str) -> URL:
    """Where a registry answers about a repository."""
    return base(registry).join(URL(f"/v2/{path}/{what}", encoded=True))


def _manifest(registry: Registry, path: str, answer: Answer) -> Manifest:
    said = manifest(answer.body)
    if said is None or said.media_type not in (None, answer.content_type):
        raise Unanswered(f"{registry.host} answers about {path} with a manifest that cannot be understood")
    return said


def _agreed(registry: Registry, reference: str, said: str) -> str:
    """A digest that was said: one that can be checked, and the one we asked for if we asked for one."""
    if not is_digest(said) or (is_digest(reference) and said != reference):
        raise Unanswered(f"{registry.host} answers with a digest that is none, or not the one it was asked for")
    return said


def _checked(registry: Registry, digest: str, content: bytes) -> bytes:
    if not names(digest, content):
        raise Unanswered(f"{registry.host} answers with something else than {digest}")
    return content
