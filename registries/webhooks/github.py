"""GitHub: a container was published to ghcr.io. Repositories send it as “package”, GitHub Apps as “registry_package”."""

from pydantic import BaseModel

from domain.errors import BadInput
from domain.images import DOCKER_HUB, Image
from registries.webhooks.notice import Notice

_EVENTS = ("package", "registry_package")


class _Tag(BaseModel):
    name: str | None = None
    digest: str | None = None


class _Metadata(BaseModel):
    tag: _Tag | None = None


class _Version(BaseModel):
    version: str | None = None
    package_url: str | None = None
    container_metadata: _Metadata | None = None


class _Owner(BaseModel):
    login: str


class _Package(BaseModel):
    name: str
    namespace: str | None = None
    owner: _Owner | None = None
    package_type: str | None = None
    ecosystem: str | None = None
    package_version: _Version | None = None


class _Body(BaseModel):
    action: str
    package: _Package | None = None
    registry_package: _Package | None = None


def is_from(notice: Notice) -> bool:
    """GitHub names its event in a header, as Gitea does; a proxy that dropped it left us the shape."""
    is_package = any("package_version" in package for event in _EVENTS if isinstance(package := notice.body.get(event), dict))
    return ("x-github-event" in notice.headers or is_package) and "x-gitea-event" not in notice.headers


def delivery_id(notice: Notice) -> str | None:
    """The same when somebody has it delivered again."""
    return notice.headers.get("x-github-delivery")


def images(notice: Notice) -> list[Image]:
    """The image that was published, unless it is another kind of package or a manifest without a tag of its own."""
    if notice.headers.get("x-github-event", _EVENTS[0]) not in _EVENTS:
        return []
    event = _Body.model_validate(notice.body)
    package = event.package or event.registry_package
    if package is None:
        raise BadInput("package is missing")
    if event.action not in ("published", "updated") or not _is_container(package):
        return []
    version = package.package_version or _Version()
    tag = (version.container_metadata and version.container_metadata.tag) or _Tag()
    # Every platform of an image, and every attestation, is published with an empty name; the image itself follows with its tag.
    if not tag.name:
        return []
    host, _, path = _repository(package, version).partition("/")
    return [Image.at(host, path, tag.name, tag.digest or _digest(version))]


def _is_container(package: _Package) -> bool:
    return not {"container", "docker"}.isdisjoint((kind or "").lower() for kind in (package.package_type, package.ecosystem))


def _repository(package: _Package, version: _Version) -> str:
    """Where it is pulled from: package_url knows the host of GitHub Enterprise and the longer paths of docker.pkg.github.com."""
    try:
        # The url of a manifest without a tag ends in its colon.
        pulled = Image.parse((version.package_url or "").lower().rstrip(":")).repository
    except BadInput:
        pulled = ""
    # Without a host it reads as Docker Hub's, and GitHub publishes nothing there.
    if pulled and not pulled.startswith(f"{DOCKER_HUB}/"):
        return pulled
    namespace = package.namespace or (package.owner and package.owner.login)
    if not namespace:
        raise BadInput("package.namespace is missing")
    return f"ghcr.io/{namespace}/{package.name}".lower()


def _digest(version: _Version) -> str | None:
    """On ghcr.io a version is a digest; on docker.pkg.github.com it was a tag."""
    return version.version if version.version and version.version.startswith("sha256:") else None
