"""What is refused says which fields are wrong, and what is not there."""

import pytest

from domain.errors import BadInput, NotFound, Problem
from domain.expected import check
from domain.settings import settings

LEAST = {"image_pattern": "nginx*", "update_strategy": "staged"}


@pytest.mark.parametrize(
    ("message", "problems"),
    [
        ("name: 1 to 255 characters", [Problem(("name",), "1 to 255 characters")]),
        ("audience, serviceAccount: give both", [Problem(("audience",), "give both"), Problem(("serviceAccount",), "give both")]),
        ("apps.1001.services[0].config.image: no: scheme", [Problem(("apps", "1001", "services", "0", "config", "image"), "no: scheme")]),
        ("labels.my-site: a string", [Problem(("labels", "my-site"), "a string")]),
        ("selector, character 3: expected =", []),
        ("“x: y” is not a tag", []),
        ("a pattern is about tags, not digests: leave it out", []),
        ("labels must be an object", [Problem(("labels",), "must be an object")]),
        ("apps.1001.services[0] needs a serviceName", [Problem(("apps", "1001", "services", "0"), "needs a serviceName")]),
        ("the body must be JSON", []),
    ],
)
def test_a_sentence_that_begins_with_a_field_is_about_that_field(message: str, problems: list[Problem]) -> None:
    refused = BadInput(message)

    assert (str(refused), refused.problems) == (message, tuple(problems))


def test_problems_that_are_given_are_the_problems() -> None:
    given = Problem(("devices", "0"), "is unknown")

    assert BadInput("name: is too long", [given]).problems == (given,)


def test_each_wrong_field_of_a_policy_is_a_problem_of_its_own() -> None:
    wrong = {
        "stages": [{"share_percent": 1, "devices": 3}, {"share_percent": 100, "soak_minutes": -1}],
        "max_failure_rate": 2, "devices": "site north", "checks": [{"kind": "http", "name": "up", "url": "file:///etc/passwd"}],
    }  # fmt: skip

    with pytest.raises(BadInput) as refused:
        settings({**LEAST, **wrong})

    assert [problem.path for problem in refused.value.problems] == [
        ("devices",), ("stages", "0"), ("stages", "1", "soak_minutes"), ("max_failure_rate",), ("checks", "0", "url"),
    ]  # fmt: skip
    assert all(problem.message in str(refused.value) for problem in refused.value.problems)


def test_a_rule_about_several_fields_is_a_problem_of_the_one_it_names() -> None:
    with pytest.raises(BadInput) as refused:
        settings({**LEAST, "update_strategy": "scheduled"})

    [problem] = refused.value.problems
    assert problem == Problem(("update_strategy",), "scheduled needs a schedule with not_before, not_after or windows")


def test_what_is_not_there_is_named() -> None:
    missing = NotFound.of("policy", 3)

    assert (str(missing), missing.kind, missing.key) == ("there is no policy 3", "policy", "3")


@pytest.mark.parametrize("expected", [None, 3])
def test_what_is_expected_and_what_is_not_said_go_through(expected: int | None) -> None:
    check("policy 1", 3, expected)
