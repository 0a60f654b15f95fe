"""Asking a registry about a repository: with the proof it wants, and as far as it sends us for a blob."""

from collections.abc import Callable
from datetime import UTC, datetime

from yarl import URL

from domain.registries import Registry, Unanswered
from registries.oci.tokens import Tokens, Topic, refusal
from registries.oci.waits import wait_of
from registries.oci.wire import Answer, Wire, base, target

MOST_REDIRECTS = 3
_REDIRECTS = {301, 302, 303, 307, 308}


class Asking:
    """Questions that a registry may want a proof for."""

    def __init__(self, wire: Wire, clock: Callable[[], float]) -> None:
        self._wire = wire
        self._tokens = Tokens(wire, clock)

    async def ask(self, registry: Registry, topic: Topic, method: str, url: URL, accept: str) -> Answer:
        """Ask without a proof, or with the last one that was wanted; after a 401 once more, with what it asks for."""
        proof = await self._tokens.authorization(registry, topic)
        answer = await self._wire.ask(registry, method, url, _headers(accept, proof))
        if answer.status != 401:
            return answer
        proof = await self._tokens.after(registry, topic, answer, refused=proof)
        if proof is not None:
            answer = await self._wire.ask(registry, method, url, _headers(accept, proof))
        if answer.status == 401:
            raise _hidden(registry, topic) if (proof or "").startswith("Bearer ") else refusal(registry, 401)
        return answer

    async def fetch(self, registry: Registry, topic: Topic, url: URL, accept: str) -> Answer:
        """GET something, following at most three redirects; our proof is for the registry's own ears."""
        for _ in range(1 + MOST_REDIRECTS):
            answer = await self._hop(registry, topic, url, accept)
            if answer.status not in _REDIRECTS:
                return answer
            url = target(registry, url, answer.headers.get("location", ""))
        raise Unanswered(f"{registry.host} redirects us more than {MOST_REDIRECTS} times")

    async def _hop(self, registry: Registry, topic: Topic, url: URL, accept: str) -> Answer:
        if url.origin() == base(registry):
            return await self.ask(registry, topic, "GET", url, accept)
        return await self._wire.ask_elsewhere(registry, url, _headers(accept, None))


def _hidden(registry: Registry, topic: Topic) -> Unanswered:
    """Why a token that was handed out does not help: Docker Hub says so too of what it does not have."""
    whom = "us without credentials" if registry.credentials is None else "our credentials"
    return Unanswered(f"{registry.host} does not show {topic.path} to {whom}, or does not have it (401)")


def expect(registry: Registry, answer: Answer, what: str) -> Answer:
    """The answer if it is 200; raises Unanswered with what else it was."""
    if answer.status != 200:
        raise refused(registry, answer, what)
    return answer


def refused(registry: Registry, answer: Answer, what: str) -> Unanswered:
    """Why there is no answer about this, by the status there is instead."""
    match answer.status:
        case 404:
            why = f"has no {what}, or does not show it to us"
        case 403:
            why = f"does not let us see {what}"
        case status if status in _REDIRECTS:
            why = f"sends us elsewhere for {what}, and we do not follow,"
        case status:
            why = "is in trouble" if status >= 500 else "does not understand what we ask"
    return Unanswered(f"{registry.host} {why} ({answer.status})", wait_of(answer.headers, datetime.now(UTC)))


def _headers(accept: str, proof: str | None) -> dict[str, str]:
    return {"Accept": accept} if proof is None else {"Accept": accept, "Authorization": proof}
