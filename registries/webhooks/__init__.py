"""What a registry tells us when an image was pushed: one table of senders, one module for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from domain.errors import BadInput
from domain.images import Image, Push
from registries.webhooks import distribution, docker_hub, generic, github

_Headers = Mapping[str, str]
_Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Sender:
    """Somebody who tells us of pushes, and how to know and understand them."""

    name: str
    fields: str
    is_from: Callable[[_Headers, _Body], bool]
    images: Callable[[_Headers, _Body], list[Image]]


# The first that recognises a request reads it. Gitea also sends X-GitHub-Event, so its line would go above GitHub's.
_SENDERS = (
    _Sender("github", "package.namespace, package.name and container_metadata.tag", github.is_from, github.images),
    _Sender("docker-hub", "repository.repo_name and push_data.tag", docker_hub.is_from, docker_hub.images),
    _Sender("distribution", "events[] with request.host, target.repository and target.tag", distribution.is_from, distribution.images),
    _Sender("generic", "image, tag and digest", generic.is_from, generic.images),
)


def read(headers: _Headers, body: bytes) -> list[Push]:
    """The pushes a webhook tells of, each once; none when it tells of something else. Header names are lower case."""
    said = _object(body)
    for sender in _SENDERS:
        if sender.is_from(headers, said):
            return [Push(image, sender.name) for image in dict.fromkeys(_images(sender, headers, said)) if not image.is_attachment]
    expected = "; ".join(f"{sender.name} ({sender.fields})" for sender in _SENDERS)
    raise BadInput(f"nobody we know sends a body like this; expected one of: {expected}")


def _object(body: bytes) -> _Body:
    try:
        said = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadInput(f"the body is not JSON ({error}); a webhook's content type must be application/json") from error
    if not isinstance(said, dict):
        raise BadInput("the body is JSON but not an object; every sender we know sends one in { }")
    return said


def _images(sender: _Sender, headers: _Headers, said: _Body) -> list[Image]:
    try:
        return sender.images(headers, said)
    except ValidationError as error:
        raise BadInput(f"{sender.name}: {_sentence(error)}") from error
    except BadInput as bad:
        raise BadInput(f"{sender.name} ({sender.fields}): {bad}") from bad


def _sentence(error: ValidationError) -> str:
    """The first thing wrong, which field it is in, and none of the value."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(map(str, problem["loc"]))
    if problem["type"] == "missing":
        return f"{field} is missing"
    return f"{field} cannot be understood: {problem['msg'][0].lower()}{problem['msg'][1:]}"
