"""How we prove to a registry who we are: nothing until it asks, then a token or a password."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field, ValidationError
from yarl import URL

from domain.registries import Credentials, Registry, Unanswered
from registries.oci.challenges import Challenge, challenges, preferred
from registries.oci.flights import Flights
from registries.oci.memory import Memory
from registries.oci.wire import Answer, Wire, base, target

_MOST_REMEMBERED = 10_000
_Text = Annotated[str, Field(min_length=1, max_length=65_536, pattern="^[!-~]+$")]


class _Body(BaseModel):
    """What hands out tokens says; it calls them one or the other."""

    token: _Text | None = None
    access_token: _Text | None = None
    expires_in: Annotated[float, Field(allow_inf_nan=False)] | None = None


@dataclass(frozen=True, slots=True)
class _Token:
    """What opens a door for a while."""

    text: str = field(repr=False)
    until: float


class Topic(NamedTuple):
    """A set of questions that the same proof answers for; Azure wants another for tags than for images."""

    path: str
    what: Literal["images", "tags"]


class Tokens:
    """What to say to which registry about what."""

    def __init__(self, wire: Wire, clock: Callable[[], float]) -> None:
        self._wire = wire
        self._clock = clock
        self._wanted: Memory[tuple[Registry, Topic], Challenge] = Memory(_MOST_REMEMBERED)
        self._tokens: Memory[tuple[Registry, Challenge], _Token] = Memory(_MOST_REMEMBERED)
        self._flights: Flights[tuple[Registry, Challenge], _Token] = Flights(clock, most_remembered=1)

    async def authorization(self, registry: Registry, topic: Topic) -> str | None:
        """What to say at once: nothing, until the registry has asked for something."""
        wanted = self._wanted.get((registry, topic))
        return None if wanted is None else await self._answer(registry, wanted, refused=None)

    async def after(self, registry: Registry, topic: Topic, answer: Answer, refused: str | None) -> str | None:
        """What to say after a 401, which is not what was refused; None if there is nothing to say."""
        wanted = preferred(challenges(answer.headers.get("www-authenticate", "")))
        if wanted is None:
            return None
        said = await self._answer(registry, _about(wanted, topic), refused)
        self._wanted.keep((registry, topic), _about(wanted, topic))
        return said if said != refused else None

    async def _answer(self, registry: Registry, challenge: Challenge, refused: str | None) -> str | None:
        if challenge.scheme == "basic":
            return None if registry.credentials is None else _basic(registry.credentials)
        token = self._tokens.get((registry, challenge))
        if token is None or token.until <= self._clock() or _bearer(token) == refused:
            token = await self._flights.answer((registry, challenge), 0, lambda: self._fetched(registry, challenge))
            self._tokens.keep((registry, challenge), token)
        return _bearer(token)

    async def _fetched(self, registry: Registry, challenge: Challenge) -> _Token:
        """A new token, from where the registry says they are handed out."""
        asked_at = self._clock()
        headers = {} if registry.credentials is None else {"Authorization": _basic(registry.credentials)}
        answer = await self._wire.ask_elsewhere(registry, _desk(registry, challenge), headers)
        return _token(registry, answer, asked_at)


def refusal(registry: Registry, status: int) -> Unanswered:
    """Why a registry does not let us in."""
    if registry.credentials is not None:
        return Unanswered(f"{registry.host} refuses our credentials ({status})")
    return Unanswered(f"{registry.host} wants credentials, and we have none for it ({status})")


def _about(challenge: Challenge, topic: Topic) -> Challenge:
    """A challenge with a scope; a registry that does not say one wants the usual."""
    return challenge if challenge.scope else replace(challenge, scope=f"repository:{topic.path}:pull")


def _desk(registry: Registry, challenge: Challenge) -> URL:
    """Where tokens are handed out, and for what we want one; each scope is a parameter of its own."""
    url = target(registry, base(registry), challenge.realm or "")
    wanted = [("service", challenge.service)] if challenge.service else []
    try:
        return url.extend_query([*wanted, *(("scope", scope) for scope in (challenge.scope or "").split())])
    except ValueError:  # letters that are none
        raise Unanswered(f"{registry.host} wants a token that cannot be asked for") from None


def _token(registry: Registry, answer: Answer, asked_at: float) -> _Token:
    if answer.status in (401, 403):
        raise refusal(registry, answer.status)
    if answer.status != 200:
        raise Unanswered(f"{registry.host} hands out no token: where it sends us for one answers {answer.status}")
    try:
        body = _Body.model_validate_json(answer.body)
    except ValidationError:
        raise Unanswered(f"{registry.host} hands out no token that can be understood") from None
    if (text := body.token or body.access_token) is None:
        raise Unanswered(f"{registry.host} hands out no token that can be understood")
    return _Token(text, asked_at + (60 if body.expires_in is None else body.expires_in))


def _basic(credentials: Credentials) -> str:
    return "Basic " + b64encode(f"{credentials.username}:{credentials.password}".encode("utf-8", "surrogatepass")).decode()


def _bearer(token: _Token) -> str:
    return f"Bearer {token.text}"
