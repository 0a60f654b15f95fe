"""The domain's enums, under the names clients know them by, and what each value means."""

from enum import Enum, StrEnum

from pydantic.alias_generators import to_camel

from domain.actors import Role
from domain.aside import AsideKind
from domain.audit import Action
from domain.audit import SubjectType as SubjectKind
from domain.catalogue import Standing
from domain.checks import CheckKind, State
from domain.differences import DifferenceKind
from domain.endpoints import Scheme, Sender
from domain.events import EventType
from domain.fleet import DeviceStanding
from domain.fleet import OrderBy as DeviceOrderBy
from domain.pacing import Counts
from domain.previews import LeftOut
from domain.provenance import Proof
from domain.pushes import POLLING
from domain.settings import RollbackMode, Strategy, Unresolved
from domain.statuses import DeviceStatus, Status
from domain.tags import Level, Order
from domain.waits import On
from schema.described import enum

enum(
    Strategy, "UpdateStrategy", "Who gets a new image first, and whether anybody is asked.",
    {
        Strategy.AUTO: "Everybody at once.",
        Strategy.STAGED: "In batches.",
        Strategy.MANUAL: "In batches, once an operator starts it.",
        Strategy.SCHEDULED: "In batches, by a schedule.",
    },
)  # fmt: skip
enum(
    Status, "RolloutStatus", "Where a rollout is in its life.",
    {
        Status.ENROLLING: "Created; its devices are being ranked.",
        Status.PENDING: "Ranked; waits for an operator, for approval, or for its time.",
        Status.IN_PROGRESS: "On its way, batch by batch.",
        Status.PAUSED: "Nobody new is offered the image; those who were keep it.",
        Status.ROLLING_BACK: "The image is taken back; devices that took it are on their way.",
        Status.COMPLETED: "Everybody was offered the image; for a month it can still be rolled back.",
        Status.ROLLED_BACK: "Everybody is back on the image they had.",
        Status.CANCELLED: "Stopped by an operator, or because its time was over; devices that were offered the image keep it.",
        Status.SUPERSEDED: "A newer release took over; devices go straight to that one.",
    },
)  # fmt: skip
enum(
    DeviceStatus, "DeviceRolloutStatus", "Where one device is in a rollout.",
    {
        DeviceStatus.PENDING: "Not offered the image yet.",
        DeviceStatus.DEFERRED: "Its turn came, but its window is closed, it was silent, or one that shares its label had failed.",
        DeviceStatus.SCHEDULED: "Offered; it has not polled since.",
        DeviceStatus.UPDATING: "Took the image and said nothing conclusive.",
        DeviceStatus.UPDATED: "Runs the image; with health checks on, the soak time is not over.",
        DeviceStatus.HEALTHY: "Ran the image, healthy, for the soak time.",
        DeviceStatus.FAILED: "Could not pull or start it, or the container stopped.",
        DeviceStatus.UNHEALTHY: "Runs it, and it does not work.",
        DeviceStatus.REFUSED: "Would not take it.",
        DeviceStatus.TIMED_OUT: "Took the image and stayed silent past the deadline.",
        DeviceStatus.RETRYING: "Failed and was taken back; it will be offered the image again.",
        DeviceStatus.ROLLING_BACK: "Told to return, and has not reported it.",
        DeviceStatus.ROLLED_BACK: "Back on its previous image.",
        DeviceStatus.SKIPPED: "Taken out: an operator gave it another image.",
    },
)  # fmt: skip
enum(
    RollbackMode, "RollbackMode", "Who goes back when too many fail.",
    {
        RollbackMode.ALL: "Everybody.",
        RollbackMode.FAILED_BATCH_FIRST: "Everybody, the failed batch first.",
        RollbackMode.FAILED_DEVICES: "Devices that failed, each by itself; the rollout pauses.",
    },
)  # fmt: skip
enum(
    Counts, "RampCounts", "What makes a ramp climb.",
    {Counts.OFFERED: "Devices that were offered the image.", Counts.SUCCEEDED: "Devices that run it well."},
)  # fmt: skip
enum(
    CheckKind, "CheckKind", "What a check from outside asks.",
    {
        CheckKind.HTTP: "An address of each device, over HTTP.",
        CheckKind.TCP: "Whether a port of each device can be connected to.",
        CheckKind.PROMETHEUS: "A Prometheus, about the batch as a whole.",
        CheckKind.WEBHOOK: "A gate of yours, about the batch as a whole.",
    },
)  # fmt: skip
enum(
    State, "CheckState", "Where a check stands.",
    {
        State.RUNNING: "Not decided yet.",
        State.PASSED: "As it should be.",
        State.FAILED: "Not as it should be.",
        State.INCONCLUSIVE: "Nothing that could be measured decides it: an operator is asked.",
    },
)  # fmt: skip
enum(
    Level, "TagLevel", "How far from what a device runs a version may be.",
    {Level.MAJOR: "Any newer one.", Level.MINOR: "Of the same major version.", Level.PATCH: "Of the same minor version."},
)  # fmt: skip
enum(
    Order, "TagOrder", "What makes one tag newer than another.",
    {
        Order.VERSION: "As versions are ordered (semantic versioning, and what is near it).",
        Order.ALPHABETICAL: "As words are ordered.",
        Order.NUMERICAL: "As numbers are ordered.",
    },
)  # fmt: skip
enum(
    Unresolved, "UnresolvedTag", "What to do about a pushed tag whose digest nobody can tell, since its registry cannot be asked.",
    {
        Unresolved.AUTO: "Wait where the tag moves and devices run it already, else go by the tag.",
        Unresolved.WAIT: "Wait.",
        Unresolved.BY_TAG: "Go by the tag.",
    },
)  # fmt: skip
enum(
    On, "WaitsFor", "Who or what ends a wait.",
    {
        On.DEVICES: "Polls and reports of devices, or that the time for them is over.",
        On.TIME: "The clock.",
        On.WINDOW: "A maintenance window that has to open.",
        On.CHECKS: "Checks from outside, or a gate.",
        On.OPERATOR: "An operator.",
        On.APPROVAL: "Operators who approve.",
        On.ENGINE: "Nothing but the next second.",
        On.NOTHING: "It is over.",
    },
)  # fmt: skip
enum(
    AsideKind, "AsideKind", "Why a device joins no rollout.",
    {
        AsideKind.PINNED: "An operator wants it to stay exactly as it is.",
        AsideKind.HELD: "An operator wants no rollout to begin on it for a while.",
        AsideKind.QUARANTINED: "It failed in too many rollouts in a row.",
    },
)  # fmt: skip
enum(
    Proof, "RequiredProof", "What an image must come with.",
    {Proof.SIGNATURE: "Somebody's signature of it.", Proof.ATTESTATION: "Somebody's word about how it was made."},
)  # fmt: skip
enum(
    Sender, "WebhookSender", "Whose webhooks are understood.",
    {
        Sender.DOCKER_HUB: "Docker Hub.",
        Sender.GITHUB: "GitHub Packages.",
        Sender.QUAY: "Quay.",
        Sender.HARBOR: "Harbor.",
        Sender.GITLAB: "GitLab.",
        Sender.DISTRIBUTION: "CNCF Distribution, as `registry:2` and `registry:3` have it.",
        Sender.AZURE: "Azure Container Registry.",
        Sender.ECR: "Amazon ECR, through EventBridge.",
        Sender.GOOGLE: "Google Artifact Registry, through Pub/Sub.",
        Sender.GITEA: "Gitea and Forgejo.",
        Sender.JFROG: "JFrog Artifactory.",
        Sender.NEXUS: "Sonatype Nexus.",
        Sender.ALIYUN: "Alibaba Cloud Container Registry.",
        Sender.CDEVENTS: "CDEvents.",
        Sender.GENERIC: "A CI job of yours, or anything else that can post an image's name.",
    },
)  # fmt: skip
enum(
    Scheme, "WebhookScheme", "How a webhook proves where it comes from.",
    {
        Scheme.SIGNATURE: "An HMAC of the raw body, in the sender's own header and form.",
        Scheme.HEADER: "The secret itself, in a header that the sender was told to send.",
        Scheme.PATH: "The secret at the end of the address, for senders that can do nothing else.",
        Scheme.OIDC: "A token that Google signed for a service account.",
    },
)  # fmt: skip
enum(
    Standing, "ImageStanding", "What operators said of an image.",
    {
        Standing.PENDING: "Nothing yet: somebody waits for it.",
        Standing.APPROVED: "It may be rolled out.",
        Standing.REJECTED: "It may not.",
        Standing.DEPRECATED: "It was fine once; nobody new gets it.",
    },
)  # fmt: skip
enum(
    DeviceStanding, "DeviceStanding", "Whether a device may take part.",
    {
        DeviceStanding.ACCEPTED: "It may.",
        DeviceStanding.WAITING: "Once an operator accepts it.",
        DeviceStanding.REVOKED: "It is let in no more.",
    },
)  # fmt: skip
enum(
    DifferenceKind, "DifferenceKind", "In what a service is not as it should be.",
    {
        DifferenceKind.MISSING: "The device should run it, and has not reported it.",
        DifferenceKind.OTHER_IMAGE: "It runs another image.",
        DifferenceKind.NOT_RUNNING: "It has the image, and does not run.",
        DifferenceKind.EXTRA: "The device reports it, and should not run it.",
    },
)  # fmt: skip
enum(
    DeviceOrderBy, "DeviceOrderBy", "What decides which of two devices comes first.",
    {
        DeviceOrderBy.REGISTERED: "When it registered.",
        DeviceOrderBy.NAME: "Its name.",
        DeviceOrderBy.LAST_SEEN: "When it was last heard of; never is longest ago.",
    },
)  # fmt: skip
enum(
    LeftOut, "LeftOutReason", "Why a device that runs the image would not take part in a rollout.",
    {
        LeftOut.OWN_POLICY: "Its fleet has a policy of its own.",
        LeftOut.OTHER_FLEET: "The policy is for another fleet.",
        LeftOut.OTHER_LABELS: "The policy is for devices with other labels.",
        LeftOut.SAME_IMAGE: "It is told to run this image already.",
        LeftOut.NEWER_VERSION: "It runs a newer version, or one from which the rules for tags do not lead here.",
        LeftOut.REVOKED: "It is let in no more.",
        LeftOut.WAITING: "No operator has accepted it yet.",
        LeftOut.PINNED: "It is pinned.",
        LeftOut.HELD: "It is held.",
        LeftOut.QUARANTINED: "It is quarantined.",
        LeftOut.OTHER_ROLLOUT: "It is in another rollout of the same image that is under way.",
    },
)  # fmt: skip
enum(
    Role, "Role", "What a token is for.",
    {
        Role.READER: "Reads, and follows what happens.",
        Role.OPERATOR: "Changes things too.",
        Role.ADMINISTRATOR: "Also makes and revokes tokens, and reads the audit log.",
    },
)  # fmt: skip
enum(
    EventType, "EventType", "What can happen to rollouts, images and devices.",
    {
        EventType.WEBHOOK_RECEIVED: "A registry said that the image was pushed.",
        EventType.IMAGE_APPROVAL_REQUESTED: "A policy wants the image to be approved.",
        EventType.IMAGE_APPROVED: "An operator approved it.",
        EventType.IMAGE_REJECTED: "An operator rejected it.",
        EventType.IMAGE_DEPRECATED: "An operator deprecated it.",
        EventType.ROLLOUT_CREATED: "The rollout was created.",
        EventType.ROLLOUT_ENROLLED: "Its devices were ranked.",
        EventType.ROLLOUT_JOINED: "A device that came to run the image joined it.",
        EventType.ROLLOUT_REPLANNED: "It took over its policy's settings.",
        EventType.ROLLOUT_APPROVED: "An operator approved it.",
        EventType.ROLLOUT_REJECTED: "An operator refused it.",
        EventType.ROLLOUT_STARTED: "It started.",
        EventType.BATCH_STARTED: "A batch was offered the image.",
        EventType.BATCH_WIDENED: "More devices of the batch were.",
        EventType.BATCH_COMPLETED: "The batch has proved itself.",
        EventType.BATCH_WITHDRAWN: "The image was taken back from one batch.",
        EventType.BATCH_PROMOTED: "An operator had it go on from a batch.",
        EventType.WINDOW_OPENED: "A maintenance window opened.",
        EventType.WINDOW_CLOSED: "A maintenance window closed.",
        EventType.HEALTH_CHECK_STARTED: "The checks of the batch as a whole began.",
        EventType.HEALTH_CHECK_PASSED: "They passed.",
        EventType.HEALTH_CHECK_FAILED: "They failed.",
        EventType.DEVICE_SCHEDULED: "A device was offered the image.",
        EventType.DEVICE_UPDATED: "A device reported that it runs it.",
        EventType.DEVICE_FAILED: "A device reported that it does not.",
        EventType.DEVICE_WITHDRAWN: "The image was taken back from one device.",
        EventType.DEVICE_ROLLED_BACK: "A device reported its previous image.",
        EventType.ROLLOUT_PAUSED: "It was paused.",
        EventType.ROLLOUT_RESUMED: "It goes on.",
        EventType.ROLLOUT_RETRIED: "Devices that failed are offered the image again.",
        EventType.ROLLOUT_COMPLETED: "It is done.",
        EventType.ROLLOUT_CANCELLED: "It was stopped where it was.",
        EventType.ROLLOUT_SUPERSEDED: "A newer release took over.",
        EventType.ROLLBACK_STARTED: "Everybody is told to go back.",
        EventType.ROLLBACK_WIDENED: "After the failed batch the others are told too.",
        EventType.ROLLOUT_ROLLED_BACK: "Everybody is back.",
        EventType.DEVICE_OFFLINE: "A device fell silent.",
        EventType.DEVICE_ONLINE: "It was heard of again.",
    },
)  # fmt: skip
enum(Action, "AuditAction", "What operators do.", {action: f"`{to_camel(action.value)}`." for action in Action})

enum(SubjectKind, "AuditSubjectKind", "To what something was done.", {kind: f"`{kind.value}`." for kind in SubjectKind})

PushSource = Enum("PushSource", {sender.name: sender.value for sender in Sender} | {POLLING.upper(): POLLING})  # type: ignore[misc]
enum(
    PushSource, "PushSource", "Who says that an image was pushed.",
    {source: "Its registry, when it was asked." if source.value == POLLING else "A sender's webhook." for source in PushSource},
)  # fmt: skip


class OrderDirection(StrEnum):
    """Which end of a list comes first."""

    ASCENDING = "ascending"
    DESCENDING = "descending"


enum(
    OrderDirection, "OrderDirection", "Which end of a list comes first.",
    {
        OrderDirection.ASCENDING: "The smallest, the first of the alphabet, the longest ago.",
        OrderDirection.DESCENDING: "The other end.",
    },
)  # fmt: skip

__all__ = [
    "Action", "AsideKind", "CheckKind", "Counts", "DeviceOrderBy", "DeviceStanding", "DeviceStatus", "DifferenceKind", "EventType",
    "LeftOut", "Level", "On", "Order", "OrderDirection", "Proof", "PushSource", "Role", "RollbackMode", "Scheme", "Sender",
    "Standing", "State", "Status", "Strategy", "SubjectKind", "Unresolved",
]  # fmt: skip
