"""The OpenAPI document, and a server that keeps to every word of it. ROLLWAVE_EXAMPLES: how many of each kind are tried."""

import copy
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import count
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from schemathesis import Case, GenerationMode, checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from starlette.routing import Route

from domain.endpoints import Scheme, Sender
from server import openapi
from server.app import create_app
from server.process import Running
from server.proxies import Proxies
from server.settings import Settings
from storage.database import Database
from tests.apart import Apart, apart
from tests.api import Agent, Api, everything, nth, web
from tests.conformance.agents import apps, service
from tests.conftest import KEYS, SECRET, a_database
from tests.senders import Made, made
from tests.test_webhook_nonsense import places

OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(openapi.document()).get_all_operations()
    if isinstance(found, Ok)
}
REGISTER, REPORT = "POST /api/v1/device/register", "PATCH /api/v1/device/state"
TAKING = [label for label in OPERATIONS if label not in ("GET /healthz", "GET /api/v1/openapi.json")]
WEBHOOKS = [label for label in OPERATIONS if label.endswith("{secret}")]
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
STRANGE: list[Any] = [
    None,
    7,
    -1,
    1.5,
    2**31,
    True,
    "",
    "14",
    "text",
    "\u00e4 \U0001f600",
    [],
    ["a"],
    [None],
    [[]],
    {},
    {"a": 1},
    {"0": None},
]
ADDRESSES = (f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}" for number in count())
THIS_MACHINE = Proxies((ip_network("127.0.0.0/8"),))
some = settings(
    max_examples=int(os.environ.get("ROLLWAVE_EXAMPLES", "20")), deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@dataclass(frozen=True, slots=True)
class Site:
    """A server, and what it takes to be let in everywhere."""

    http: requests.Session
    there: Apart
    provisioning: str
    agent: Agent
    endpoint: Made

    def let_in(self, case: Case[Any]) -> Case[Any]:
        """The same request, of somebody who is known and proves it."""
        secret = SECRET if case.path.endswith("docker-registry/{secret}") else self.endpoint.secret
        known = {"uuid": self.agent.uuid, "sender": self.endpoint.sender.value, "endpoint": self.endpoint.id, "secret": secret}
        case.path_parameters = {name: known[name] for name in case.path_parameters}
        is_registration = case.operation.label == REGISTER
        case.headers.pop("X-Provisioning-Key", None)
        case.headers.pop("X-Agent-Key", None)
        case.headers["Authorization"] = f"Bearer {self.provisioning if is_registration else self.agent.key}"
        case.headers["X-Device-API-Key"] = self.agent.key
        return case

    def of_the_device(self, body: Any) -> Any:
        """The same report, of the device that is let in."""
        return {self.agent.uuid: next(iter(body.values()))} if isinstance(body, dict) and len(body) == 1 else body

    def answer(self, case: Case[Any]) -> Any:
        """What is answered, which must be as the document says."""
        case.headers["X-Forwarded-For"] = next(ADDRESSES)  # or one who guesses keys would lock the others out
        response = case.call(base_url=self.there.url, session=self.http)
        case.validate_response(response, checks=CHECKS)
        return response

    def send(self, label: str, body: Any) -> Any:
        """What is answered to this body, of somebody who is let in."""
        return self.answer(self.let_in(OPERATIONS[label].Case(body=body, media_type="application/json")))

    def everything(self) -> dict[str, list[Any]]:
        """All there is in the database."""
        return self.there.wait(everything(self.there.server.db))


@pytest.fixture(scope="module")
async def database(cluster: str, template: str) -> AsyncIterator[str]:
    """A database of this module's own."""
    async with a_database(cluster, template) as url:
        yield url


@pytest.fixture(scope="module")
def site(database: str) -> Iterator[Site]:
    """A server, with a device that is to run something and an endpoint."""
    with (
        apart(Settings(port=0, webhook_secret=SECRET, encryption_keys=KEYS, proxies=THIS_MACHINE), database) as there,
        requests.Session() as http,
    ):
        provisioning, agent, endpoint = there.wait(_prepared(there.server))
        yield Site(http, there, provisioning, agent, endpoint)


async def _prepared(server: Running) -> tuple[str, Agent, Made]:
    async with Api.of(server, SECRET) as api:
        agent = await api.device(nth(1), web("nginx:1.27"))
        return await api.provisioning_key(), agent, await made(api, Sender.GENERIC, Scheme.PATH)


def body_is_wrong(case: Case[Any]) -> bool:
    """Whether the body is what the document does not allow."""
    return case.meta is not None and case.meta.components[ParameterLocation.BODY].mode is GenerationMode.NEGATIVE


# The document


def test_the_document_is_openapi() -> None:
    validate(openapi.document())


def test_every_route_is_in_the_document(settings: Settings, db: Database) -> None:
    routes = [route for route in create_app(settings, db).routes if isinstance(route, Route) and route.path != "/graphql"]
    told = {label.partition(" ")[2] for label in OPERATIONS}

    assert {route.path for route in routes} <= told
    for label in OPERATIONS:
        method, _, path = label.partition(" ")
        assert all(method in (route.methods or ()) for route in routes if route.path == path), label


async def test_anybody_may_read_the_document(api: Api) -> None:
    async with api.http.get("/api/v1/openapi.json") as response:
        assert (response.status, await response.json()) == (200, openapi.document())


# Whatever is sent


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", TAKING)
def test_whatever_anybody_sends_is_answered_as_the_document_says(site: Site, label: str, mode: GenerationMode) -> None:
    @some
    @given(OPERATIONS[label].as_strategy(generation_mode=mode), st.booleans())
    def is_answered(case: Case[Any], is_known: bool) -> None:
        if is_known and label == REPORT:
            case.body = site.of_the_device(case.body)
        site.answer(site.let_in(case) if is_known else case)

    is_answered()


@pytest.mark.parametrize("label", sorted(OPERATIONS.keys() - TAKING))
def test_whoever_sends_nothing_is_answered_as_the_document_says(site: Site, label: str) -> None:
    assert site.answer(OPERATIONS[label].Case()).status_code == 200


@pytest.mark.parametrize("label", [REGISTER, REPORT, *WEBHOOKS])
def test_what_the_document_forbids_is_refused_and_changes_nothing(site: Site, label: str) -> None:
    before = site.everything()

    @some
    @given(OPERATIONS[label].as_strategy(generation_mode=GenerationMode.NEGATIVE).filter(body_is_wrong))
    def is_refused(case: Case[Any]) -> None:
        assert_refused(site.answer(site.let_in(case)), case.body)

    is_refused()
    assert site.everything() == before


@pytest.mark.parametrize("label", [REGISTER, REPORT])
def test_what_the_document_allows_is_taken(site: Site, label: str) -> None:
    @some
    @given(OPERATIONS[label].as_strategy())
    def is_taken(case: Case[Any]) -> None:
        case.body = as_agents_write(site.of_the_device(case.body) if label == REPORT else case.body)
        case.headers.pop("Content-Encoding", None)
        answer = site.answer(site.let_in(case))
        assert answer.status_code == 200 or no_schema_can_say(answer.json()["error"]), answer.json()

    is_taken()


@pytest.mark.parametrize(("label", "schema"), [(REGISTER, "Registration"), (REPORT, "Report")])
def test_a_wrong_type_in_any_one_place_is_refused_and_changes_nothing(site: Site, label: str, schema: str) -> None:
    whole = introduction() if label == REGISTER else {site.agent.uuid: {"apps": apps(service("nginx:1.27")), "version": 1, "uptime": 1}}
    allowed = OAS31Validator({"$ref": f"#/components/schemas/{schema}", **openapi.document()}).is_valid
    bodies = [put(whole, place, value) for place in places(whole) for value in STRANGE]
    before = site.everything()

    for body in bodies:
        if not allowed(body):
            assert_refused(site.send(label, body), body)
    assert site.everything() == before

    for body in bodies:
        if allowed(body):
            # A uuid that somebody has by now, with another key.
            assert site.send(label, body).status_code in ((200, 409) if label == REGISTER else (200,)), body


def assert_refused(answer: Any, body: Any) -> None:
    assert 400 <= answer.status_code < 500, body
    assert answer.json()["error"], body


def no_schema_can_say(error: str) -> bool:
    """What PostgreSQL cannot keep, what is there already, and what is no key though it is a text."""
    return any(words in error for words in ("null character", "devicePublicKey", "already registered", "there are two apps"))


def as_agents_write(value: Any) -> Any:
    """The same with 14 for 14.0, which is as whole to JSON Schema."""
    if isinstance(value, dict):
        return {name: as_agents_write(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_agents_write(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def introduction() -> dict[str, Any]:
    return {"uuid": nth(2), "deviceName": "press-12", "deviceType": "pi4", "deviceApiKey": "k" * 64, "applicationId": {"id": [12]}}


def put(whole: Any, place: tuple[str | int, ...], value: object) -> Any:
    """The same with another value in one place."""
    if not place:
        return value
    first, *rest = place
    changed = copy.copy(whole)
    changed[first] = put(whole[first], tuple(rest), value)
    return changed
