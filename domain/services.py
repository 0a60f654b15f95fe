"""What an operator may write of a service, field by field. What is not named here passes through: agents know more than we do."""

import re
from collections.abc import Callable
from typing import Any

from domain.errors import BadInput
from domain.ports import Mapping, Published

LONGEST_NAME = 128
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_RESTART = re.compile(r"no|always|unless-stopped|on-failure(?::[0-9]{1,9})?")


def check_name(name: str, where: str) -> None:
    """Names become names of containers; raises BadInput for one that could not."""
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise BadInput(
            f"{where}: “{name[:80]}” is not a name; write 1 to {LONGEST_NAME} letters, digits, “_”, “.” or “-”, "
            "the first a letter or a digit"
        )


def check_config(config: dict[str, Any], where: str, published: Published) -> None:
    """Refuse what no agent could do, naming the field; the ports that it publishes are taken."""
    for name, check in _CHECKS.items():
        if name in config:
            check(config[name], f"{where}.{name}")
    for number, text in enumerate(config.get("ports", ())):
        try:
            published.add(Mapping.parse(text), where.removesuffix(".config"))
        except BadInput as bad:
            raise BadInput(f"{where}.ports[{number}]: {bad}") from bad


def _strings(value: object, where: str) -> None:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise BadInput(f"{where} must be a list of strings")


def _environment(value: object, where: str) -> None:
    if not isinstance(value, dict):
        raise BadInput(f"{where} must be an object")
    for name, one in value.items():
        if not name or "=" in name:
            raise BadInput(f"{where}: “{name[:80]}” cannot be the name of a variable")
        if not isinstance(one, str | int | float | None):
            raise BadInput(f"{where}.{name[:80]} must be a string, a number, true, false or null")


def _restart(value: object, where: str) -> None:
    if not isinstance(value, str) or not _RESTART.fullmatch(value):
        raise BadInput(f"{where} must be no, always, unless-stopped, on-failure or on-failure:3")


_CHECKS: dict[str, Callable[[object, str], None]] = {
    "ports": _strings,
    "environment": _environment,
    "volumes": _strings,
    "networks": _strings,
    "restart": _restart,
}
