"""Who may tell us of pushes: one address for each sender, and how it proves who it is."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.ids import EndpointId


class Sender(StrEnum):
    """Whose webhooks are understood; the value is its part of the address, and its name in the history."""

    DOCKER_HUB = "docker-hub"
    GITHUB = "github"
    QUAY = "quay"
    HARBOR = "harbor"
    GITLAB = "gitlab"
    DISTRIBUTION = "distribution"
    AZURE = "azure"
    ECR = "ecr"
    GOOGLE = "google"
    GITEA = "gitea"
    JFROG = "jfrog"
    NEXUS = "nexus"
    ALIYUN = "aliyun"
    CDEVENTS = "cdevents"
    GENERIC = "generic"


class Scheme(StrEnum):
    """How a webhook proves that it comes from its sender."""

    SIGNATURE = "signature"
    """An HMAC of the raw body with the secret, in the sender's own header and form."""
    HEADER = "header"
    """The secret itself, in a header that the sender was told to send."""
    PATH = "path"
    """The secret at the end of the address, for senders that can do nothing else."""
    OIDC = "oidc"
    """A token that Google signed for a service account."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that one sender posts to."""

    id: EndpointId
    name: str
    sender: Sender
    scheme: Scheme
    default_host: str | None
    """The registry of images whose sender does not say which registry it is."""
    repositories: tuple[str, ...]
    """Patterns of the repositories it may speak for; none are all."""
    audience: str | None
    """OIDC: for whom the token must be made."""
    service_account: str | None
    """OIDC: the e-mail address the token must be of."""
    enabled: bool
    created_at: datetime
    rotated_at: datetime
    """When its secret was made."""
    version: int = 1
    deleted_at: datetime | None = None
