"""Amazon ECR: what EventBridge passes on, as it is or made into a CloudEvent by an input transformer."""

from pydantic import BaseModel, Field

from domain.errors import BadInput
from domain.images import Image
from registries.webhooks.notice import Notice

# Of charts and other artifacts that are no images ECR says what they are; of an index it says nothing.
_IMAGES = (None, "", "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")


class _Detail(BaseModel):
    result: str
    action: str = Field(alias="action-type")
    repository: str = Field(alias="repository-name")
    tag: str | None = Field(default=None, alias="image-tag")
    digest: str | None = Field(default=None, alias="image-digest")
    kind: str | None = Field(default=None, alias="artifact-media-type")


class _Body(BaseModel):
    account: str
    region: str
    detail: _Detail


class _Data(BaseModel):
    repository: str = Field(alias="repositoryName")
    tag: str | None = Field(default=None, alias="imageTag")
    digest: str | None = Field(default=None, alias="imageDigest")
    account: str | None = Field(default=None, alias="registryId")


class _CloudEvent(BaseModel):
    source: str
    data: _Data


def is_from(notice: Notice) -> bool:
    """EventBridge's own envelope, or a CloudEvent of a type that begins with com.amazon.ecr."""
    return "detail-type" in notice.body or _is_cloud_event(notice)


def images(notice: Notice) -> list[Image]:
    """The image that was pushed with a tag; a push that failed, a scan and whatever else EventBridge carries are none."""
    if _is_cloud_event(notice):
        return _of_cloud_event(notice)
    if notice.text("source") != "aws.ecr" or notice.text("detail-type") != "ECR Image Action":
        return []
    event = _Body.model_validate(notice.body)
    detail = event.detail
    if (detail.action, detail.result) != ("PUSH", "SUCCESS") or detail.kind not in _IMAGES or not detail.tag:
        return []
    return [Image.at(_host(event.account, event.region), detail.repository, detail.tag, detail.digest or None)]


def delivery_id(notice: Notice) -> str | None:
    """EventBridge gives each event its own; a CloudEvent's is its source's."""
    return notice.cloud_event_id() if _is_cloud_event(notice) else notice.text("id")


def _is_cloud_event(notice: Notice) -> bool:
    return (notice.text("type") or "").startswith("com.amazon.ecr.")


def _of_cloud_event(notice: Notice) -> list[Image]:
    if not (notice.text("type") or "").endswith(".push"):
        return []
    event = _CloudEvent.model_validate(notice.body)
    if not event.data.tag:
        return []
    region, account = _place(event.source)
    return [Image.at(_host(event.data.account or account, region), event.data.repository, event.data.tag, event.data.digest or None)]


def _place(source: str) -> tuple[str, str]:
    """The region and the account in urn:aws:ecr:eu-central-1:123456789012:repository/acme/app."""
    parts = source[:200].split(":")
    if len(parts) < 5 or parts[2] != "ecr":
        raise BadInput("source must begin with urn:aws:ecr:<region>:<account>, which name the registry")
    return parts[3], parts[4]


def _host(account: str, region: str) -> str:
    return f"{account}.dkr.ecr.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
