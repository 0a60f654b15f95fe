"""CDEvents: an artifact was published, named by a package URL; alone or in a CloudEvent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel

from domain.errors import BadInput
from domain.images import DOCKER_HUB, Image
from registries.webhooks.notice import Notice, host_of, located, source_and_id

_LONGEST_PURL = 1024


class _Context(BaseModel):
    type: str
    id: str | None = None
    source: str | None = None


class _Subject(BaseModel):
    id: str


class _Event(BaseModel):
    context: _Context
    subject: _Subject


@dataclass(frozen=True, slots=True)
class _Package:
    """A package URL: pkg:oci/app@sha256%3A…?repository_url=ghcr.io/acme/app&tag=1.27."""

    kind: str
    name: str
    version: str | None
    qualifiers: Mapping[str, str]


def is_from(notice: Notice) -> bool:
    """Only CDEvents are of types that begin with dev.cdevents."""
    return (_type(_event(notice)) or notice.text("type") or "").startswith("dev.cdevents.")


def images(notice: Notice) -> list[Image]:
    """The image that was published; what was only packaged nobody can pull yet, and other packages are no images."""
    if not (_type(_event(notice)) or "").startswith("dev.cdevents.artifact.published."):
        return []
    package = _package(_Event.model_validate(_event(notice)).subject.id)
    match package.kind:
        case "oci" if package.qualifiers.get("tag") or "arch" not in package.qualifiers:
            return [_oci(notice, package)]
        case "docker":
            return [_docker(package)]
        case _:  # another kind of package; or one platform of an image, which has an arch and no tag
            return []


def delivery_id(notice: Notice) -> str | None:
    """The event's own, whichever way it travels; it is its source's only."""
    context = Notice({}, _event(notice))
    return source_and_id(context.text("context", "source"), context.text("context", "id"))


def _event(notice: Notice) -> Mapping[str, Any]:
    """The event itself, out of a CloudEvent if it came in one."""
    data = notice.body.get("data")
    return data if isinstance(data, dict) and "context" not in notice.body else notice.body


def _type(event: Mapping[str, Any]) -> str | None:
    return Notice({}, event).text("context", "type")


def _package(text: str) -> _Package:
    """Raises BadInput for what is no package URL."""
    start, _, query = text.partition("#")[0].partition("?")
    kind, slash, rest = start.removeprefix("pkg:").lstrip("/").partition("/")
    if len(text) > _LONGEST_PURL or not text.startswith("pkg:") or not slash:
        raise BadInput("subject.id must be a package URL such as pkg:oci/app@sha256%3A…?repository_url=ghcr.io/acme/app&tag=1.27")
    name, _, version = rest.partition("@")
    return _Package(kind.lower(), unquote(name), unquote(version) or None, dict(parse_qsl(query)))


def _oci(notice: Notice, package: _Package) -> Image:
    """Its version is the digest, and repository_url is where to pull it from, with or without the name at the end."""
    tag = package.qualifiers.get("tag")
    if tag is None and package.version is None:
        raise BadInput("subject.id names neither a tag nor a digest")
    host, path = located(package.qualifiers.get("repository_url", ""))
    whole = path if path.rpartition("/")[2] == package.name else f"{path}/{package.name}".lstrip("/")
    return Image.at(notice.host(host, "repository_url in subject.id"), whole, tag, package.version)


def _docker(package: _Package) -> Image:
    """Its version is a tag, or the id of an image, which nobody can pull by; without a repository_url it is Docker Hub's."""
    if package.version is None or package.version.startswith("sha256:"):
        raise BadInput("subject.id names no tag; write pkg:oci/… to name an image by its digest")
    return Image.at(host_of(package.qualifiers.get("repository_url")) or DOCKER_HUB, package.name, package.version)
