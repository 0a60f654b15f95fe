"""What a container image is called, when two names mean the same image, and which names a pattern means."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from domain.errors import BadInput

DOCKER_HUB = "docker.io"
_HUB_ALIASES = {"index.docker.io", "registry-1.docker.io"}
_OFFICIAL = "library/"
_DEFAULT_TAG = "latest"

# The grammar is that of github.com/distribution/reference; ASCII only, which \w and \d would not be.
_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:]+\])(?::[0-9]+)?")
_COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_DIGEST = re.compile("|".join(f"{algorithm}:[0-9a-f]{{{length}}}" for algorithm, length in _HEX_DIGITS.items()))
_IMAGE_ID = re.compile(f"[0-9a-f]{{64}}|{_DIGEST.pattern}")
_ATTACHMENT = re.compile(r"sha256-[0-9a-f]{64}(?:\..*)?")
_LONGEST_REPOSITORY = 255

_HOST_GLOB = re.compile(r"(?:[a-z0-9.*?-]+|\[[0-9a-f:*?]+\])(?::[0-9*?]+)?")
_PATH_GLOB = re.compile(r"[a-z0-9._*?-]+(?:/[a-z0-9._*?-]+)*")
_TAG_GLOB = re.compile(r"[A-Za-z0-9_.*?-]+")
_LONGEST_PATTERN = 255
_ANY_HOST = "**"

_Glob = tuple[str, ...]  # "**", "*", "?", and what stands for itself in between


@dataclass(frozen=True, slots=True)
class Image:
    """A container image reference in normal form: however it was written, the same image is the same value."""

    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The image Docker would pull for this reference."""
        if _IMAGE_ID.fullmatch(text):
            raise BadInput(f"“{_shown(text)}” is the id of an image, not its name; put the repository before it: acme/app@sha256:…")
        name, tag, digest = split(text)
        host, path = _located(name)
        return cls.at(host, path, tag, digest)

    @classmethod
    def at(cls, host: str, path: str, tag: str | None = None, digest: str | None = None) -> Self:
        """The image that the registry at `host` keeps under `path`; nothing in the path is taken for a host."""
        if path != path.lower():
            raise BadInput(f"repository names are lower case: “{_shown(path.lower())}”, not “{_shown(path)}”")
        repository = _joined(host, path)
        if len(repository) > _LONGEST_REPOSITORY:
            raise BadInput(f"a repository has at most {_LONGEST_REPOSITORY} characters, registry included; “{_shown(path)}” has more")
        # Docker takes a bare word before the first "/" for a user of Docker Hub, so such a registry cannot be written down.
        if not _reads_as_host(host) or not _HOST.fullmatch(host.lower()):
            raise BadInput(f"“{_shown(host)}” cannot be the registry of an image: write localhost, or a host name with a dot or a port")
        if not _PATH.fullmatch(path):
            raise BadInput(
                f"“{_shown(path)}” is not the name of a repository: "
                "write lower-case letters and digits, with single dots, underscores or dashes between them and “/” between the parts"
            )
        if tag is not None and not _TAG.fullmatch(tag):
            raise BadInput(f"“{_shown(tag)}” is not a tag: write 1 to 128 letters, digits, “_”, “.” or “-”, not starting with “.” or “-”")
        if digest is not None and not _DIGEST.fullmatch(digest):
            raise BadInput(f"“{_shown(digest)}” is not a digest: write sha256: and 64 lower-case hexadecimal digits")
        return cls(repository, _DEFAULT_TAG if tag is None and digest is None else tag, digest)

    @property
    def name(self) -> str:
        """The repository as people and devices write it: nginx, acme/app, ghcr.io/acme/app."""
        host, _, path = self.repository.partition("/")
        official = path.removeprefix(_OFFICIAL)
        if host != DOCKER_HUB:
            return self.repository
        if "/" not in official:
            # Alone, these would be read as the id of an image.
            return path if official in _HEX_DIGITS or _IMAGE_ID.fullmatch(official) else official
        # Docker Hub's a.b/c, written short, would be read as c at the host a.b.
        return self.repository if _reads_as_host(path.partition("/")[0]) else path

    @property
    def release(self) -> str:
        """What makes it a release of its own: a tag moves, so the digest when it is known."""
        return self.digest or self.tag or _DEFAULT_TAG

    @property
    def is_attachment(self) -> bool:
        """A signature, attestation or list of referrers, kept beside an image under a tag made of its digest (cosign, OCI referrers)."""
        return self.tag is not None and is_attachment(self.tag)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return f"{self.name}{tag}{digest}"

    def is_proven_by(self, running: "Image") -> bool:
        """Does a device that reports `running` run this image? Where a digest is asked for, a tag is no proof."""
        if self.repository != running.repository:
            return False
        if self.digest is not None:
            return self.digest == running.digest
        return self.tag == running.tag


@dataclass(frozen=True, slots=True)
class Pattern:
    """An anchored glob over a repository and, optionally, a tag."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """A pattern, as Docker would read a reference: nginx* is docker.io/library/nginx*. “**” also crosses “/”."""
        _globs(text)
        return cls(text)

    def is_about(self, repository: str) -> bool:
        """Whether it means images of this repository, of some tag at least."""
        return _reads(_globs(self.text)[0], repository)

    def matches(self, image: Image) -> bool:
        """Whether the image is one this pattern means; without a tag of its own it means every tag."""
        repository, tag = _globs(self.text)
        return _reads(repository, image.repository) and (tag is None or _reads(tag, image.tag or ""))


def is_tag(text: str) -> bool:
    """Whether an image can have this tag."""
    return _TAG.fullmatch(text) is not None


def is_attachment(tag: str) -> bool:
    """Whether what has this tag belongs to another image and is none itself."""
    return _ATTACHMENT.fullmatch(tag) is not None


def is_tag_glob(text: str) -> bool:
    """Whether it can be read as a glob over tags: “*” for any run of characters, “?” for one."""
    return len(text) <= _LONGEST_PATTERN and _TAG_GLOB.fullmatch(text) is not None


def matches_tag(glob: str, tag: str) -> bool:
    """Whether the glob means this tag."""
    return _reads(_tag_glob(glob), tag)


def split(text: str) -> tuple[str, str | None, str | None]:
    """What a reference says before any default: the name as written, its tag, its digest."""
    if not text:
        raise BadInput("an image reference is missing; write one such as nginx:1.27 or ghcr.io/acme/app:1.27")
    if "://" in text:
        raise BadInput(f"an image reference has no scheme: “{_shown(text.partition('://')[2])}”, not “{_shown(text)}”")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise BadInput(f"an image reference has no spaces, control characters or letters beyond ASCII: “{_shown(text)}” has")
    reference, at, digest = text.partition("@")
    name, tag = _untagged(reference)
    return name, tag, digest if at else None


def _untagged(reference: str) -> tuple[str, str | None]:
    """The name and the tag, which follows the last “:” unless that is the port of a host."""
    colon = reference.rfind(":")
    return (reference[:colon], reference[colon + 1 :]) if colon > reference.rfind("/") else (reference, None)


def _reads_as_host(component: str) -> bool:
    """Whether Docker takes this, before a “/”, for a registry rather than for a user of Docker Hub."""
    return "." in component or ":" in component or component.lower() == "localhost"


def _located(name: str) -> tuple[str, str]:
    """The registry and the path a name stands for."""
    first, slash, rest = name.partition("/")
    return (first, rest) if slash and _reads_as_host(first) else (DOCKER_HUB, name)


def _joined(host: str, path: str) -> str:
    """The one spelling of a repository."""
    host = host.lower()
    if host in _HUB_ALIASES:
        host = DOCKER_HUB
    # "**" is any depth already: docker.io/** is all of Docker Hub.
    is_official = host == DOCKER_HUB and "/" not in path and path != "**"
    return f"{host}/{_OFFICIAL if is_official else ''}{path}"


def _shown(text: str) -> str:
    """A stranger's text as it may stand in a sentence: short, and with nothing that a terminal or log would act on."""
    return repr(text if len(text) <= 80 else f"{text[:80]}…")[1:-1]


@lru_cache(maxsize=1024)
def _globs(text: str) -> tuple[_Glob, _Glob | None]:
    """The two globs a pattern is made of: the repository's, and the tag's if it has one."""
    if not 0 < len(text) <= _LONGEST_PATTERN:
        raise BadInput(
            f"a pattern has 1 to {_LONGEST_PATTERN} characters, this one has {len(text)}; write one such as nginx* or acme/*:1.*"
        )
    if "@" in text:
        raise BadInput(f"a pattern is about repositories and tags, not digests: leave “@” and what follows out of “{_shown(text)}”")
    name, tag = _untagged(re.sub(r"\*{3,}", "**", text))
    host, path = ("", name) if name.partition("/")[0] == _ANY_HOST else _located(name)
    if path != path.lower():
        raise BadInput(f"repository names are lower case, so “{_shown(text)}” would match nothing; write “{_shown(path.lower())}”")
    if (host and not _HOST_GLOB.fullmatch(host.lower())) or not _PATH_GLOB.fullmatch(path) or not (tag is None or _TAG_GLOB.fullmatch(tag)):
        raise BadInput(
            f"“{_shown(text)}” is not a pattern: it is an image's name in which “*” stands for any run of characters within a part, "
            "“**” for any run, “?” for one character, and the rest for itself"
        )
    return _parts(_joined(host, path) if host else path), None if tag is None else _parts(tag.replace("**", "*"))


@lru_cache(maxsize=1024)
def _tag_glob(glob: str) -> _Glob:
    return _parts(re.sub(r"\*{2,}", "*", glob))


def _parts(glob: str) -> _Glob:
    return tuple(re.findall(r"\*\*|\*|\?|[^*?]+", glob))


def _reads(glob: _Glob, text: str) -> bool:
    """Whether the glob reads the whole text; all the ways to read it go on together, so that no pattern is slow."""
    ends = {0}
    for part in glob:
        match part:
            case "**":
                ends = set(range(min(ends), len(text) + 1))
            case "*":
                ends = _spread(ends, text)
            case "?":
                ends = {end + 1 for end in ends if text[end : end + 1] not in ("", "/")}
            case literal:
                ends = {end + len(literal) for end in ends if text.startswith(literal, end)}
        if not ends:
            return False
    return len(text) in ends


def _spread(ends: set[int], text: str) -> set[int]:
    """Wherever “*” may end: anywhere from where it starts to the end of that part of the path."""
    reached: set[int] = set()
    for end in sorted(ends):
        if end not in reached:  # else an earlier start in the same part went over it already
            slash = text.find("/", end)
            reached.update(range(end, (slash if slash >= 0 else len(text)) + 1))
    return reached
