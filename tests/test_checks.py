"""What checks may ask for, where a device's words may lead, and what measurements mean together."""

import json
from datetime import UTC, datetime, timedelta
from math import inf, nan
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.checks import (
    CheckSettings,
    HttpCheck,
    Measurement,
    PrometheusCheck,
    Result,
    State,
    WebhookGate,
    next_measurement_at,
    statuses,
    verdict,
    weigh,
)
from domain.conditions import Condition
from domain.errors import BadInput
from domain.urls import Subject, Url, checked_host, host_for

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEVICE = Subject(uuid="9fae", name="roof cam/3", fleet="shop", address="10.8.0.7")
CHECKS: TypeAdapter[CheckSettings] = TypeAdapter(CheckSettings)
LETTERS = {"s": Result.SUCCESS, "f": Result.FAILURE, "i": Result.INCONCLUSIVE, "e": Result.ERROR}


def a_check(**limits: float) -> HttpCheck:
    return HttpCheck.model_validate({"kind": "http", "name": "smoke", "url": "http://{address}/", **limits})


def a_metric(success: str | None = None, failure: str | None = None) -> PrometheusCheck:
    return PrometheusCheck(
        kind="prometheus", name="rate", base_url="http://prom:9090", query="up", success_condition=success, failure_condition=failure
    )


def measured(letters: str) -> list[Measurement]:
    """One measurement a minute: “ssf” is two successes and a failure."""
    return [Measurement.of(NOW + timedelta(minutes=number), LETTERS[letter], "because") for number, letter in enumerate(letters)]


# --- settings


@pytest.mark.parametrize(
    "given_",
    [
        {"kind": "http", "name": "page", "url": "https://{uuid}.devices.example/health?name={name}", "expected_statuses": "200-204, 401"},
        {"kind": "tcp", "name": "ssh", "host": "{address}", "port": 22},
        {
            "kind": "prometheus",
            "name": "errors",
            "base_url": "http://prom:9090/prometheus/",
            "query": "up",
            "failure_condition": "result > 1",
        },
        {"kind": "webhook", "name": "change board", "url": "https://board.example/may?we", "interval_seconds": 300},
    ],
)
def test_every_kind_of_check_survives_being_stored(given_: dict[str, object]) -> None:
    check = CHECKS.validate_python(given_)

    assert CHECKS.validate_json(CHECKS.dump_json(check)) == check


def test_the_limits_are_argos_unless_said_otherwise() -> None:
    check = a_check()

    assert (check.count, check.failure_limit, check.inconclusive_limit, check.consecutive_error_limit) == (1, 0, 0, 4)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("kind", {"kind": "ping"}),
        ("url", {"kind": "http", "url": "http://{ip}/"}),
        ("expected_statuses", {"kind": "http", "url": "http://{name}/", "expected_statuses": "100-200"}),
        ("host", {"kind": "tcp", "host": "{address}:22", "port": 22}),
        ("port", {"kind": "tcp", "host": "{address}", "port": "{name}"}),
        ("base_url", {"kind": "prometheus", "base_url": "http://{name}/", "query": "up"}),
        ("base_url", {"kind": "prometheus", "base_url": "http://prom/?x=1", "query": "up"}),
        ("success_condition", {"kind": "prometheus", "base_url": "http://prom/", "query": "up", "success_condition": "up"}),
        ("url", {"kind": "webhook", "url": "https://board.example/{uuid}"}),
        ("failure_limit", {"kind": "webhook", "url": "https://board.example/", "failure_limit": 1}),
        ("interval_seconds", {"kind": "webhook", "url": "https://board.example/", "interval_seconds": 0}),
    ],
)
def test_a_check_that_makes_no_sense_is_refused_by_the_field(field: str, values: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        CHECKS.validate_python({"name": "a check", **values})

    assert any(field in (*error["loc"], error.get("ctx", {}).get("discriminator", "").strip("'")) for error in refused.value.errors())


@pytest.mark.parametrize("text", ["", "200-", "20", "2000", "300-200", "600", "200;404", "²00", "200 - 299x"])
def test_what_is_no_status_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no status code"):
        statuses(text)


# --- where a device's words may lead


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("http://{address}:8080/health", "http://10.8.0.7:8080/health"),
        ("HTTPS://{uuid}.devices.example", "https://9fae.devices.example/"),
        ("http://proxy/{fleet}/{name}?n={name}&u={uuid}", "http://proxy/shop/roof%20cam%2F3?n=roof%20cam%2F3&u=9fae"),
        ("http://[fd00::1]:80/", "http://[fd00::1]:80/"),
        ("http://cam-{uuid}/%7Ea@b", "http://cam-9fae/%7Ea@b"),
    ],
)
def test_placeholders_are_filled(template: str, filled: str) -> None:
    assert Url.parse(template).filled(DEVICE) == filled


@pytest.mark.parametrize(
    "template",
    [
        *(
            "",
            "device",
            "/health",
            "ftp://device/",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "http://user:secret@device/",
            "http://user@device/",
        ),
        *("http://device/#top", "http://device:/", "http://device:0/", "http://device:65536/", "http://device:{name}/", "{name}://device/"),
        *(
            "http://{ip}/",
            "http://{}/",
            "http://{uuid/",
            "http://uuid}/",
            "http://{{uuid}}/",
            "http://{name}@device/",
            "http://[{address}]/",
        ),
        *("http://dev ice/", "http://device/a b", "http://device\\@evil/", "http://device/\n", "http://dé/", "http://-a-/", "http://a..b/"),
        *(
            "http://device/%",
            "http://device/%{name}",
            "http://device/%2{name}",
            "http://device/%zz",
            "http://device/../x",
            "http://device/%2E.",
        ),
        *("http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://{name}.1/", "http://[fe80::1%25eth0]/"),
    ],
)
def test_a_url_that_could_lead_astray_is_refused_when_the_policy_is_made(template: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Url.parse(template)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "evil/",
            "a@evil",
            "evil:80",
            "evil#",
            "evil?",
            "a b",
            "a\n",
            "a\x00",
            "[::1]",
            "::1]",
            "fe80::1%eth0",
            "fe80::1%1",
            "10.0.0.1, 10.0.0.2",
        ),
        *(
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "10.0.0.256",
            "1.2.3.4.",
            "..",
            ".",
            "-",
            "a..b",
            "a" * 64,
            "dé",
            "①.①.①.①",
            "a%2eb",
        ),
    ],
)
def test_what_is_no_host_is_never_connected_to(address: str) -> None:
    device = Subject("9fae", "cam", None, address)
    with pytest.raises(BadInput):
        Url.parse("http://{address}/").filled(device)
    with pytest.raises(BadInput):
        host_for("{address}", device)


@pytest.mark.parametrize(("address", "host"), [("FD00:0::1", "[fd00::1]"), ("10.0.0.1", "10.0.0.1"), ("cam_3.lan", "cam_3.lan")])
def test_a_device_is_found_by_address_or_name(address: str, host: str) -> None:
    assert Url.parse("http://{address}:80/").filled(Subject("9fae", "cam", None, address)) == f"http://{host}:80/"


@pytest.mark.parametrize("name", ["x.evil.com", "evil.com/", "10.0.0.1", "a:b", ""])
def test_a_part_of_a_label_stays_one(name: str) -> None:
    with pytest.raises(BadInput):
        host_for("device-{name}", Subject("9fae", name, None, None))


@pytest.mark.parametrize("name", [".", "..", ""])
def test_a_name_is_never_a_step_in_the_path(name: str) -> None:
    for template in ("http://proxy/{name}/health", "http://proxy/{name};x/health"):
        with pytest.raises(BadInput):
            Url.parse(template).filled(Subject("9fae", name, None, None))
    with pytest.raises(BadInput):
        Url.parse("http://proxy/.{name}/health").filled(Subject("9fae", "." if name else "", None, None))


def test_a_device_without_what_the_url_asks_for_is_not_guessed_at() -> None:
    with pytest.raises(BadInput, match="no fleet"):
        Url.parse("http://proxy/{fleet}").filled(Subject("9fae", "cam", None, None))


_words = st.text(max_size=20) | st.sampled_from(["../..", "%2e%2e", "a/b?c#d&e=f", "@evil", ":81", "//evil", "\\evil", "{uuid}", "\ud800"])


@settings(max_examples=300, deadline=None)
@given(_words, _words)
def test_whatever_a_device_says_only_its_own_segment_and_parameter_change(uuid: str, name: str) -> None:
    template = "https://proxy.example:8443/v1/{uuid}/health?name={name}&deep=1"
    try:
        filled = Url.parse(template).filled(Subject(uuid, name, None, None))
    except BadInput:
        return
    parts = urlsplit(filled)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "proxy.example:8443", "")
    assert [unquote(segment) for segment in parts.path.split("/")] == ["", "v1", uuid, "health"]
    assert [unquote(parameter) for parameter in parts.query.split("&")] == [f"name={name}", "deep=1"]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9.:%@/\[\]-]{1,20}"))
def test_a_host_is_one_or_is_refused(text: str) -> None:
    try:
        host = checked_host(text)
    except ValueError:
        return
    assert not set(host) & set("/@#?%[] \\")
    assert urlsplit(f"http://[{host}]:1/" if ":" in host else f"http://{host}:1/").hostname == host.lower()


@settings(max_examples=300, deadline=None)
@given(st.text() | st.from_regex(r"https?://[a-z{}@:/%.?#\[\]0-9]*", fullmatch=True))
def test_a_url_is_understood_or_refused(text: str) -> None:
    try:
        url = Url.parse(text)
    except ValueError:
        return
    assert urlsplit(url.filled(Subject("a", "a", "a", "a"))).scheme in ("http", "https")


# --- conditions


@pytest.mark.parametrize(
    ("text", "true", "false"),
    [
        ("result >= 0.95", [0.95, 1], [0.94]),
        ("result<0.01 and result>=0", [0, 0.005], [-1, 0.01]),
        ("  result < 1e-3  or  result == 7.", [0, 7], [1]),
        ("result != -.5", [0.5], [-0.5]),
        ("result <= +2E2", [200], [200.1]),
        ("result > 0", [5e-324], [0]),
    ],
)
def test_a_condition_is_a_comparison_or_two(text: str, true: list[float], false: list[float]) -> None:
    condition = Condition.parse(text)

    assert all(condition.holds(result) for result in true)
    assert not any(condition.holds(result) for result in false)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "result",
            "0.95",
            "result >= ",
            "result => 1",
            "result = 1",
            "0.95 <= result",
            "result[0] >= 0.95",
            "len(result) > 0",
            "isNaN(result)",
        ),
        *(
            "result > nan",
            "result > inf",
            "result > 1e999",
            "result > 1_0",
            "result > ٣",
            "result > 0x1",
            "result > 1 and",
            "and result > 1",
        ),
        *("result > 1 and result < 2 or result == 3", "result > 1 && result < 2", "result > 1 andresult < 2", "__import__('os')"),
    ],
)
def test_what_is_no_condition_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no comparison|too large"):
        Condition.parse(text)


@settings(max_examples=500, deadline=None)
@given(st.text() | st.from_regex(r"(result|[<>=!]{1,2}|and|or|[-+.0-9e]{1,6}| ){1,12}", fullmatch=True), st.floats(allow_nan=False))
def test_a_condition_is_understood_or_refused(text: str, result: float) -> None:
    try:
        condition = Condition.parse(text)
    except ValueError:
        return
    assert condition.holds(result) in (True, False)


# Argo Rollouts, docs/features/analysis.md (“Inconclusive Runs”) and utils/evaluate/evaluate.go.
@pytest.mark.parametrize(
    ("success", "failure", "value", "result"),
    [
        ("result >= 0.90", "result < 0.50", 0.95, "s"),
        ("result >= 0.90", "result < 0.50", 0.7, "i"),
        ("result >= 0.90", "result < 0.50", 0.4, "f"),
        ("result >= 0.95", None, 0.95, "s"),
        ("result >= 0.95", None, 0.94, "f"),
        (None, "result >= 10", 9, "s"),
        (None, "result >= 10", 10, "f"),
        (None, None, 1, "i"),
        ("result > 0", "result > 0", 1, "f"),
        ("result >= 0.95", None, nan, "i"),
        (None, "result >= 10", inf, "i"),
        ("result < 1", "result > 1", -inf, "i"),
    ],
)
def test_a_number_is_weighed_as_argo_does(success: str | None, failure: str | None, value: float, result: str) -> None:
    found, detail = weigh(a_metric(success, failure), value)

    assert found is LETTERS[result]
    assert str(value) in detail


# --- measurements together


# Argo Rollouts, analysis/analysis_test.go: TestAssessMetricStatus…, and the two things that differ.
@pytest.mark.parametrize(
    ("limits", "letters", "state"),
    [
        ({}, "", State.RUNNING),
        ({}, "s", State.PASSED),
        ({}, "f", State.FAILED),
        ({}, "i", State.INCONCLUSIVE),
        ({"failure_limit": 2, "count": 9}, "fff", State.FAILED),
        ({"failure_limit": 3, "count": 9}, "fff", State.RUNNING),
        ({"inconclusive_limit": 2, "count": 9}, "iii", State.INCONCLUSIVE),
        ({"inconclusive_limit": 3, "count": 9}, "iii", State.RUNNING),
        ({}, "eeee", State.RUNNING),
        ({}, "eeeee", State.INCONCLUSIVE),  # Argo: Error, which aborts
        ({"count": 2}, "eeeeseeees", State.PASSED),
        ({"consecutive_error_limit": 0}, "e", State.INCONCLUSIVE),
        ({"count": 10}, "s" * 10, State.PASSED),
        ({"count": 10}, "s" * 5 + "i", State.INCONCLUSIVE),
        ({"count": 3, "failure_limit": 3}, "fff", State.RUNNING),  # Argo: Successful
        ({"count": 3, "failure_limit": 3}, "fffss", State.RUNNING),
        ({"count": 3, "failure_limit": 3}, "fffsss", State.PASSED),
        ({"count": 2, "failure_limit": 1, "inconclusive_limit": 1}, "fisef", State.FAILED),
    ],
)
def test_measurements_are_judged_as_argo_does(limits: dict[str, float], letters: str, state: State) -> None:
    assert verdict(a_check(**limits), measured(letters)).state is state


def test_a_verdict_says_how_often_and_why() -> None:
    assert verdict(a_check(failure_limit=1), measured("ff")).reason == "smoke: failed 2 times: because"
    assert verdict(a_check(), measured("eeeee")).reason == "smoke: could not be measured 5 times: because"
    assert verdict(a_check(count=2), measured("s")).reason == "smoke: 1 of 2 successes so far"


@settings(max_examples=300, deadline=None)
@given(st.text("sfie", max_size=12), st.text("sfie", max_size=5), *[st.integers(0, 3)] * 3, st.integers(1, 4))
def test_a_verdict_once_given_stays(early: str, late: str, failures: int, inconclusives: int, errors: int, count: int) -> None:
    check = a_check(failure_limit=failures, inconclusive_limit=inconclusives, consecutive_error_limit=errors, count=count)
    first = verdict(check, measured(early))

    assert first.state is State.RUNNING or verdict(check, measured(early + late)) == first
    assert first.state is not State.PASSED or early.count("s") >= count


@settings(max_examples=200, deadline=None)
@given(st.text("sfie", min_size=100, max_size=100))
def test_a_check_always_comes_to_an_end(letters: str) -> None:
    check = a_check(count=3, failure_limit=2, inconclusive_limit=2, consecutive_error_limit=2)

    assert verdict(check, measured(letters)).state is not State.RUNNING


def test_a_gate_is_asked_until_it_opens_and_never_fails() -> None:
    gate = WebhookGate(kind="webhook", name="board", url="https://board.example/")

    assert verdict(gate, []).state is State.RUNNING
    assert verdict(gate, measured("fie" * 40)).reason == "board: held: because"
    assert verdict(gate, measured("fie" * 40)).state is State.RUNNING
    assert verdict(gate, measured("eees")).state is State.PASSED


def test_the_first_measurement_is_made_at_once_and_the_next_an_interval_later_until_decided() -> None:
    check = a_check(count=2, interval_seconds=30)

    assert next_measurement_at(check, [], NOW) == NOW
    assert next_measurement_at(check, measured("s"), NOW) == NOW + timedelta(seconds=30)
    assert next_measurement_at(check, measured("se"), NOW) == NOW + timedelta(seconds=90)
    assert next_measurement_at(check, measured("ss"), NOW) is None


@given(st.text())
def test_a_detail_is_a_printable_line_that_can_be_stored(said: str) -> None:
    detail = Measurement.of(NOW, Result.ERROR, said + "\x00\x1b[2J\u202e" + "x" * 600).detail

    assert len(detail) <= 500
    assert detail.isprintable()
    assert json.loads(json.dumps(detail).encode()) == detail
