"""JFrog Artifactory: a tag was pushed to a Docker repository. It names no delivery."""

import re

from pydantic import BaseModel

from domain.images import Image
from registries.webhooks.notice import Notice, host_of, is_name

_IMAGES = (None, "", "docker", "oci")
_SHA256 = re.compile("[0-9a-f]{64}")


class _Data(BaseModel):
    repo_key: str
    image_name: str
    image_type: str | None = None
    tag: str | None = None
    sha256: str | None = None


class _Body(BaseModel):
    data: _Data
    jpd_origin: str | None = None


def is_from(notice: Notice) -> bool:
    """Every event has a domain and a type, and nearly every one says where it happened."""
    return "jpd_origin" in notice.body or ("domain" in notice.body and "event_type" in notice.body)


def images(notice: Notice) -> list[Image]:
    """The image whose tag was pushed; what is deployed file by file (the domain artifact), deleted or promoted is none."""
    if (notice.text("domain"), notice.text("event_type")) != ("docker", "pushed"):
        return []
    event = _Body.model_validate(notice.body)
    data = event.data
    if data.image_type not in _IMAGES or not is_name(data.tag):
        return []
    host = notice.host(host_of(event.jpd_origin), "jpd_origin (which Artifactory's Custom Base URL fills)")
    return [Image.at(host, f"{data.repo_key}/{data.image_name}", data.tag, _digest(data))]


def _digest(data: _Data) -> str | None:
    """That of the manifest. The button that tests a webhook sends a word in its place."""
    return f"sha256:{data.sha256}" if data.sha256 and _SHA256.fullmatch(data.sha256) else None
