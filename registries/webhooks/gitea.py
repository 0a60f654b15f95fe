"""Gitea and Forgejo: a version of a container package was created. They name no digest."""

from pydantic import BaseModel

from domain.images import Image
from registries.webhooks.notice import Notice, host_of, is_name

_EVENTS = ("x-gitea-event", "x-forgejo-event")
_DELIVERIES = ("x-gitea-delivery", "x-forgejo-delivery")


class _Owner(BaseModel):
    login: str


class _Package(BaseModel):
    owner: _Owner
    type: str
    name: str
    version: str
    html_url: str | None = None


class _Body(BaseModel):
    action: str
    package: _Package


def is_from(notice: Notice) -> bool:
    """They name their event in headers of GitHub's too; without any, their package has a type where GitHub's has a package_type."""
    package = notice.body.get("package")
    is_package = isinstance(package, dict) and "type" in package and "package_version" not in package
    return any(name in notice.headers for name in _EVENTS) or is_package


def images(notice: Notice) -> list[Image]:
    """The image that was created, unless it is a manifest without a tag, whose version is its digest."""
    if any(notice.headers.get(name, "package") != "package" for name in _EVENTS):
        return []
    event = _Body.model_validate(notice.body)
    package = event.package
    if event.action != "created" or package.type != "container" or not is_name(package.version):
        return []
    host = notice.host(host_of(package.html_url), "package.html_url")
    return [Image.at(host, f"{package.owner.login}/{package.name}".lower(), package.version)]


def delivery_id(notice: Notice) -> str | None:
    """The same when somebody has it delivered again."""
    return next((notice.headers[name] for name in _DELIVERIES if name in notice.headers), None)
