"""A policy with everything in it, written and read over GraphQL."""

from typing import Any

import pytest

from tests.api import Api, mutation_of

LEAST = {"imagePattern": "nginx", "updateStrategy": "STAGED"}
READ = """{ policy(number: 1) {
  priority watchMinutes stepMinutes rollbackMode stopConfidence quarantineAfter approvals approvalDeadlineMinutes
  stages { sharePercent devices canaries delayMinutes soakMinutes maxFailureRate minOutcomes manualPromotion checks }
  maxRates { failed unhealthy refused timedOut }
  retries { failed unhealthy refused timedOut backoffMinutes }
  pace { devicesPerMinute ramp { basePerMinute factor everyDevices counts } maxInFlight maxInFlightPerLabel { label devices } }
  schedule { notBefore notAfter windows { cron minutes timezone } timezone timezoneLabel }
  checks { kind name url expectedStatuses host port baseUrl query successCondition failureCondition intervalSeconds timeoutSeconds
           count failureLimit inconclusiveLimit consecutiveErrorLimit }
  tags { range level prereleases sameVariant regex include exclude order moving }
  registry { unresolved pollMinutes minAgeMinutes checkPlatforms }
  approvedImagesOnly
} }"""
CANARY = "7838cecf-567c-4d54-9e48-62b4471df6bd"
EVERYTHING: dict[str, Any] = {
    "priority": 5, "watchMinutes": 60.0, "stepMinutes": 7.0, "rollbackMode": "FAILED_BATCH_FIRST", "stopConfidence": 0.95,
    "quarantineAfter": 3, "approvals": 2, "approvalDeadlineMinutes": 1440.0,
    "stages": [
        {"sharePercent": None, "devices": None, "canaries": [CANARY], "delayMinutes": 5.0, "soakMinutes": 30.0, "maxFailureRate": 0.0,
         "minOutcomes": 1, "manualPromotion": True, "checks": ["errors"]},
        {"sharePercent": None, "devices": 50, "canaries": [], "delayMinutes": None, "soakMinutes": None, "maxFailureRate": None,
         "minOutcomes": None, "manualPromotion": False, "checks": None},
        {"sharePercent": 100.0, "devices": None, "canaries": [], "delayMinutes": None, "soakMinutes": None, "maxFailureRate": None,
         "minOutcomes": None, "manualPromotion": False, "checks": []},
    ],
    "maxRates": {"failed": None, "unhealthy": 0.1, "refused": 0.5, "timedOut": None},
    "retries": {"failed": 2, "unhealthy": 0, "refused": 0, "timedOut": 1, "backoffMinutes": 2.5},
    "pace": {
        "devicesPerMinute": 1000.0, "ramp": {"basePerMinute": 50.0, "factor": 2.0, "everyDevices": 1000, "counts": "SUCCEEDED"},
        "maxInFlight": 500, "maxInFlightPerLabel": {"label": "site", "devices": 1},
    },
    "schedule": {
        "notBefore": "2026-12-01T00:00:00+00:00", "notAfter": "2027-01-01T00:00:00+00:00",
        "windows": [
            {"cron": "0 3 * * *", "minutes": 90.0, "timezone": None}, {"cron": "0 3 * * 0", "minutes": 240.0, "timezone": "Europe/Berlin"},
        ],
        "timezone": "Europe/Paris", "timezoneLabel": "tz",
    },
    "tags": {
        "range": ">=1.2 <2", "level": "MINOR", "prereleases": True, "sameVariant": False, "regex": "v(?P<version>.+)", "include": ["v1.*"],
        "exclude": ["*-debug"], "order": "VERSION", "moving": ["stable"],
    },
    "registry": {"unresolved": "BY_TAG", "pollMinutes": 5.0, "minAgeMinutes": 60.0, "checkPlatforms": True},
    "approvedImagesOnly": True,
}  # fmt: skip
NOTHING: dict[str, Any] = dict.fromkeys(
    ("url", "expectedStatuses", "host", "port", "baseUrl", "query", "successCondition", "failureCondition", "count", "failureLimit",
     "inconclusiveLimit", "consecutiveErrorLimit")
)  # fmt: skip
METRIC = NOTHING | {
    "intervalSeconds": 60.0,
    "timeoutSeconds": 10.0,
    "count": 1,
    "failureLimit": 0,
    "inconclusiveLimit": 0,
    "consecutiveErrorLimit": 4,
}
CHECKS: list[dict[str, Any]] = [
    METRIC | {"kind": "HTTP", "name": "page", "url": "http://{address}/health", "expectedStatuses": "200-299"},
    METRIC | {"kind": "TCP", "name": "port", "host": "{address}", "port": 1883},
    METRIC
    | {"kind": "PROMETHEUS", "name": "errors", "baseUrl": "http://prometheus:9090", "query": "rate", "successCondition": "result < 0.05"},
    NOTHING | {"kind": "WEBHOOK", "name": "board", "url": "https://board.example/gate", "intervalSeconds": 30.0, "timeoutSeconds": 10.0},
]


async def test_what_is_written_is_read_and_what_is_left_out_stays(api: Api) -> None:
    policy = await api.policy(**LEAST, healthCheckEnabled=True, checks=CHECKS, **EVERYTHING)
    assert (await api.graphql(READ))["policy"] == EVERYTHING | {"checks": CHECKS}

    await api.change("updatePolicy", id=policy, priority=6, pace={"maxInFlight": 5}, checks=[CHECKS[2]])
    pace = {"devicesPerMinute": None, "ramp": None, "maxInFlight": 5, "maxInFlightPerLabel": None}
    assert (await api.graphql(READ))["policy"] == EVERYTHING | {"priority": 6, "pace": pace, "checks": [CHECKS[2]]}


async def test_null_makes_a_group_of_settings_what_it_is_by_default(api: Api) -> None:
    policy = await api.policy(**LEAST, healthCheckEnabled=True, checks=CHECKS, **EVERYTHING)
    groups = ("stages", "maxRates", "retries", "pace", "schedule", "checks", "tags", "registry")
    await api.change("updatePolicy", id=policy, **dict.fromkeys(groups))

    read = (await api.graphql(READ))["policy"]
    assert (read["stages"], read["checks"]) == ([], [])
    assert read["retries"]["failed"] == 0
    assert read["tags"] == {
        "range": None, "level": None, "prereleases": False, "sameVariant": True, "regex": None, "include": [],
        "exclude": ["*.sig", "*.att", "*.sbom"], "order": "VERSION", "moving": [],
    }  # fmt: skip
    assert read["registry"] == {"unresolved": "AUTO", "pollMinutes": None, "minAgeMinutes": 0.0, "checkPlatforms": False}
    assert read["schedule"] == {"notBefore": None, "notAfter": None, "windows": [], "timezone": "UTC", "timezoneLabel": "timezone"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"stages": [{"sharePercent": 10}]}, "stages: the last must have sharePercent 100"),
        (
            {"stages": [{"sharePercent": 10, "devices": 5}, {"sharePercent": 100}]},
            "stages.0: give one of sharePercent, devices and canaries",
        ),
        ({"stages": [{"devices": 5}, {"canaries": [CANARY]}, {"sharePercent": 100}]}, "stages: those with canaries must come before"),
        ({"stages": [{"sharePercent": 100, "checks": ["x"]}]}, "stages: there is no check named “x”"),
        ({"schedule": {"windows": [{"cron": "0 3 * *", "minutes": 60}]}}, "is not the five fields of cron"),
        ({"schedule": {"windows": [{"cron": "0 3 30 2 *", "minutes": 60}]}}, "never comes"),
        (
            {"schedule": {"windows": [{"cron": "0 3 * * *", "minutes": 60, "timezone": "Mars/Olympus"}]}},
            "“Mars/Olympus” is not a time zone",
        ),
        ({"schedule": {"timezone": "../etc/passwd"}}, "is not a time zone"),
        ({"schedule": {"notBefore": "2027-01-01T00:00:00Z", "notAfter": "2026-01-01T00:00:00Z"}}, "notAfter must be later than notBefore"),
        ({"schedule": {"notBefore": "2027-01-01T00:00:00"}}, "schedule.notBefore: Input should have timezone info"),
        ({"pace": {"ramp": {"basePerMinute": 50, "factor": 1.0, "everyDevices": 10}}}, "pace.ramp.factor"),
        ({"pace": {"devicesPerMinute": 0}}, "pace.devicesPerMinute"),
        ({"pace": {"ramp": {"basePerMinute": 1e-300, "everyDevices": 10}}}, "pace.ramp.basePerMinute"),
        ({"schedule": {"notBefore": "9998-12-31T23:59:59-14:00"}}, "schedule.notBefore"),
        ({"retries": {"failed": 11}}, "retries.failed"),
        ({"stopConfidence": 1}, "stopConfidence"),
        ({"checks": [{"kind": "HTTP", "name": "x"}]}, "checks.0.url: Field required"),
        (
            {"checks": [{"kind": "TCP", "name": "x", "host": "h", "port": 1, "url": "http://x"}]},
            "checks.0.url: Extra inputs are not permitted",
        ),
        ({"checks": [{"kind": "HTTP", "name": "x", "url": "file:///etc/passwd"}]}, "checks.0.url"),
        ({"checks": [{"kind": "HTTP", "name": "x", "url": "http://{password}/"}]}, "checks.0.url"),
        ({"checks": [CHECKS[0], CHECKS[0]]}, "checks: two have the same name"),
        ({"checks": [CHECKS[0]], "healthCheckEnabled": False}, "need healthCheckEnabled"),
        ({"updateStrategy": "SCHEDULED"}, "updateStrategy: scheduled needs a schedule with notBefore, notAfter or windows"),
        ({"tags": {"range": ">2 <1"}}, "tags.range: no version can be in “>2 <1”"),
        ({"tags": {"order": "NUMERICAL", "level": "PATCH"}}, "tags: level: is about versions, and the order is numerical"),
        ({"tags": {"regex": "(a_b"}}, "tags.regex: “(a_b” is not a regular expression"),
        ({"registry": {"pollMinutes": 0.5}}, "registry.pollMinutes"),
        ({"updateStrategy": "AUTO", "stages": [{"sharePercent": 100}]}, "stages: auto has none"),
    ],
)
async def test_what_does_not_fit_is_refused_by_the_name_of_its_field(api: Api, wrong: dict[str, Any], says: str) -> None:
    code, words = await api.refusal("createPolicy", **LEAST | wrong)

    assert code == "INVALID_INPUT"
    assert says in words
    assert (await api.graphql("{ policy(number: 1) { id } }"))["policy"] is None


async def test_a_canary_that_is_no_uuid_is_refused_by_where_it_stands(api: Api) -> None:
    wrong = {"stages": [{"canaries": ["press-12"]}, {"sharePercent": 100}]}

    code, words = await api.refused(mutation_of("createPolicy", "__typename"), input=LEAST | wrong)

    assert (code, ".stages[0].canaries[0]: a UUID is" in words) == ("BAD_USER_INPUT", True), words
    assert (await api.graphql("{ policy(number: 1) { id } }"))["policy"] is None
