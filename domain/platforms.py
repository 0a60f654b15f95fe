"""Which platforms devices are, in the words of image indexes: linux/arm64, linux/arm/v7."""

from collections.abc import Iterable

LABEL = "platform"
"""The label by which an operator says what a device is; it counts before what the device reports."""

# What agents and kernels call it, and what Go, and so every image, does.
_GO = {
    "x64": "amd64", "x86_64": "amd64", "amd64": "amd64", "ia32": "386", "i386": "386", "i686": "386", "386": "386",
    "aarch64": "arm64", "arm64": "arm64", "armv8l": "arm64", "arm": "arm", "armhf": "arm/v7", "armv7l": "arm/v7", "armv6l": "arm/v6",
    "riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x",
}  # fmt: skip


def platform(said: str) -> str | None:
    """The platform for what a label or a device says; None for a word that nobody knows."""
    if "/" in said:
        return said.lower()
    architecture = _GO.get(said.lower())
    return architecture and f"linux/{architecture}"


def missing(wanted: Iterable[str], offered: frozenset[str]) -> list[str]:
    """The platforms for which an image has nothing; a variant that is not named may be any, and arm64 runs arm64/v8."""
    return sorted({one for one in wanted if not any(_runs(one, other) for other in offered)})


def _runs(device: str, image: str) -> bool:
    if device == image:
        return True
    (wanted, _, variant), (has, _, of) = _split(device), _split(image)
    return wanted == has and (not variant or not of or _level(of) <= _level(variant))


def _split(platform: str) -> tuple[str, str, str]:
    """System and architecture; a slash; the variant, which arm64 has one of only."""
    system, _, rest = platform.partition("/")
    architecture, slash, variant = rest.partition("/")
    return f"{system}/{architecture}", slash, "" if architecture == "arm64" and variant == "v8" else variant


def _level(variant: str) -> int:
    digits = variant.removeprefix("v")
    return int(digits) if digits.isdecimal() and len(digits) < 4 else 0
