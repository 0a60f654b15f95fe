"""Where an image runs."""

from pydantic import ValidationError

from domain.registries import Registry, Unanswered
from registries.oci.contents import Contents
from registries.oci.manifests import MEDIA_TYPES, Descriptor, Manifest, Platform
from registries.oci.wire import MOST_READ

MOST_NESTED = 50
"""Manifests of an index that are asked themselves, since the index does not say."""


async def platforms(contents: Contents, registry: Registry, path: str, digest: str, *, is_nested: bool = False) -> frozenset[str]:
    """The platforms of an index or of a single image; an index inside an index is not looked into."""
    kept = await contents.manifest(registry, path, digest)
    if kept is None:
        raise Unanswered(f"{registry.host} has no {path}@{digest}")
    if kept.manifest.manifests is None:
        return await _of_image(contents, registry, path, kept.manifest)
    return await _of_index(contents, registry, path, kept.manifest.manifests, is_nested=is_nested)


async def _of_index(contents: Contents, registry: Registry, path: str, entries: list[Descriptor], *, is_nested: bool) -> frozenset[str]:
    """What the index says, and what those say themselves of which it says nothing."""
    images = [entry for entry in entries if not entry.is_attestation and entry.artifact_type is None]
    found = {str(entry.platform) for entry in images if entry.platform is not None}
    silent = [entry for entry in images if entry.platform is None and entry.media_type in MEDIA_TYPES]
    for entry in [] if is_nested else silent[:MOST_NESTED]:
        found |= await platforms(contents, registry, path, entry.digest, is_nested=True)
    return frozenset(found - {""})


async def _of_image(contents: Contents, registry: Registry, path: str, image: Manifest) -> frozenset[str]:
    if image.config is None or image.config.size > MOST_READ:
        raise Unanswered(f"{registry.host} has an image {path} that does not say where it runs")
    config = await contents.blob(registry, path, image.config.digest)
    try:
        return frozenset({str(Platform.model_validate_json(config))} - {""})
    except ValidationError:
        raise Unanswered(f"{registry.host} has an image {path} whose configuration cannot be understood") from None
