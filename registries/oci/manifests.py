"""What registries say about images: the fields of the OCI image specification that we read."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from registries.oci.digests import is_digest

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MEDIA_TYPES = (INDEX, MANIFEST, _DOCKER_LIST, _DOCKER_MANIFEST)
ACCEPT = ", ".join(MEDIA_TYPES)

_PLATFORM = re.compile("[A-Za-z0-9._-]{1,64}")
_ATTESTATION = "vnd.docker.reference.type"
# What everybody means by the architecture alone (containerd, platforms/database.go).
_USUAL_VARIANTS = {("arm64", "v8"), ("arm64", "8"), ("amd64", "v1")}


def _digest(text: str) -> str:
    if not is_digest(text):
        raise ValueError("this is no digest")
    return text


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)


class Platform(_Said):
    """What a device must be to run an image."""

    os: str = ""
    architecture: str = ""
    variant: str | None = None

    def __str__(self) -> str:
        """As Docker writes it: linux/arm64, linux/arm/v7; empty if it says nothing that can be understood."""
        usual = (self.architecture, self.variant) in _USUAL_VARIANTS
        parts = [self.os, self.architecture, *([self.variant] if self.variant and not usual else [])]
        return "/".join(parts) if all(map(_PLATFORM.fullmatch, parts)) and "unknown" not in parts else ""


class Descriptor(_Said):
    """Something a manifest refers to."""

    media_type: str = ""
    digest: Annotated[str, AfterValidator(_digest)]
    size: Annotated[int, Field(ge=0)] = 0
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None
    platform: Platform | None = None

    @property
    def is_attestation(self) -> bool:
        """Whether BuildKit put it into an index to say something about another image there."""
        return self.annotation(_ATTESTATION) == "attestation-manifest"

    def annotation(self, name: str) -> str | None:
        """What is noted under a name."""
        return (self.annotations or {}).get(name)


class Manifest(_Said):
    """An image, something that is kept like one, or an index of them."""

    media_type: str | None = None
    artifact_type: str | None = None
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None
    manifests: list[Descriptor] | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        """What reads both ways could be one image to us and another to a device (CVE-2021-41190)."""
        if (self.manifests is None) == (self.config is None and self.layers is None):
            raise ValueError("a manifest is an image or an index of images")
        return self


class Tags(_Said):
    """A page of tags; a repository without any may say null."""

    tags: list[str] | None


def manifest(content: bytes) -> Manifest | None:
    """The manifest these bytes are, or None."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError:
        return None
