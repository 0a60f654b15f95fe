"""Which tag of those a registry has is taken, under which rules, and why the others are not. Defect 15: every tag was equal."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import BadInput
from domain.plans import document, from_document
from domain.settings import settings as policy_settings
from domain.tags import Choice, Level, Order, TagRules, choose, goes_back, goes_before, judge, why_kept
from domain.versions import Version
from monitor.reconciler import reconcile
from resolvers import images
from resolvers.context import Context
from tests.factories import a_policy, finished, offered, push, read
from tools.crowd import crowd
from tools.pushing import pushed

Rules = dict[str, Any]
ANY: Rules = {}
RANGE: Rules = {"range": ">=1.2 <2"}
MAJOR: Rules = {"level": "major"}
MINOR: Rules = {"level": "minor"}
PATCH: Rules = {"level": "patch"}
PRE: Rules = {"prereleases": True}
MIXED: Rules = {"same_variant": False}
TIMES: Rules = {"regex": "main-[0-9a-f]+-([0-9]+)", "order": "numerical"}
RELEASES: Rules = {"regex": "release-(?P<version>.+)"}
ALPHABETICAL: Rules = {"order": "alphabetical"}
DATED: dict[str, object] = {"order": "alphabetical", "regex": "RELEASE[.](.*)"}
NUMERICAL: Rules = {"order": "numerical"}
STABLE: Rules = {"moving": ["stable"], "level": "major"}
SIGNED = f"sha256-{'0f' * 32}"

# What the registry has / what devices run ("-" is an image without a tag), what is chosen, and what is said of one of the others.
CASES: list[tuple[Rules, str, str | None, str]] = [
    # By default: any tag, and of versions none that is older.
    (ANY, "1.26 1.27 / 1.26", "1.27", "1.27 is newer"),
    (ANY, "1.27 1.26 / 1.26", "1.27", "1.27 is newer"),
    (ANY, "1.9 1.10 / 1.8", "1.10", "1.10 is newer"),
    (ANY, "v1.9 v1.10 / v1.9", "v1.10", "v1.10 is newer"),
    (ANY, "1.26 / 1.27", None, "1.26 is older than 1.27, which every device runs"),
    (ANY, "1.26 / 1.27 1.28", None, "1.26 is older than 1.27 and 1.28"),
    (ANY, "1.19-perl / 1.27", None, "1.19-perl is older than 1.27"),
    (ANY, "1.26 / 1.25 1.27", "1.26", ""),
    (ANY, "1.27 / 1.27", "1.27", ""),
    (ANY, "1.27 v1.27.0 / 1.27", "1.27", "1.27 goes before it"),
    (ANY, "1.28 1.28.0 / 1.27", "1.28.0", "1.28.0 goes before it"),
    (ANY, "1 1.27 1.27.4 latest / 1.27.3", "1.27.4", "1 is older than 1.27.3"),
    (ANY, "2024.9.30 2024.10.1 / 2024.9.1", "2024.10.1", "2024.10.1 is newer"),
    (ANY, "1.27 nightly sha-1e5f7a9 / 1.26", "1.27", "nightly has no place in the order, and no device runs it"),
    (ANY, "nightly / 1.26", None, "nightly has no place in the order"),
    (ANY, "latest 1.27 / latest", "latest", "latest goes before it"),
    (ANY, "latest alpine / alpine", "alpine", "latest has no place in the order"),
    (ANY, "latest 1.27 / latest 1.26", "1.27", "1.27 goes before it"),
    (ANY, "1.26 1.27 / -", "1.27", "1.27 is newer"),
    (ANY, "1.26 1.27 / ", "1.27", "1.27 is newer"),
    (ANY, "latest / -", None, "latest has no place in the order"),
    (ANY, " / 1.26", None, ""),
    # What belongs to an image is none.
    (ANY, f"{SIGNED} {SIGNED}.sig {SIGNED}.att 1.27 / 1.26", "1.27", f"{SIGNED}.sig belongs to another image"),
    (ANY, "1.27.sig 1.27.att 1.27.sbom / 1.26", None, "1.27.sig is excluded by *.sig"),
    ({"exclude": ["nightly-*"]}, f"nightly-7 {SIGNED}.sig 1.27 / 1.26", "1.27", "nightly-7 is excluded by nightly-*"),
    ({"exclude": ["nightly-*"]}, f"{SIGNED}.sig / 1.26", None, "belongs to another image"),
    ({"exclude": ["*-debug", "1.28*"]}, "1.27 1.27-debug 1.28.1 / 1.26", "1.27", "1.28.1 is excluded by 1.28*"),
    # Globs.
    ({"include": ["1.*"]}, "1.27 2.0 latest / 1.26", "1.27", "2.0 does not match 1.*"),
    ({"include": ["1.2?"]}, "1.27 1.271 1.3 / 1.26", "1.27", "1.271 does not match 1.2?"),
    ({"include": ["v*", "release-*"]}, "main 1.27 / 1.26", None, "main does not match v* or release-*"),
    ({"include": ["1.*"], "exclude": ["*-perl"]}, "1.27 1.28-perl / 1.26", "1.27", "1.28-perl is excluded by *-perl"),
    # Ranges.
    (RANGE, "1.1.9 1.2 1.9 2.0.0 / 1.2", "1.9", "2.0.0 is outside >=1.2 <2"),
    (RANGE, "2.0.0 / 1.9", None, "2.0.0 is outside >=1.2 <2"),
    (RANGE, "2.0.0 1.9 / 2.1", None, "1.9 is older than 2.1"),
    (RANGE, "latest nightly sha-1e5f7a9 deadbeef 1.3 / 1.2", "1.3", "sha-1e5f7a9 is not a version"),
    (RANGE, "20241001 / 1.2", None, "20241001 is not a version"),
    (RANGE, "1.3 / latest", "1.3", ""),
    (RANGE, "1.3 / -", "1.3", ""),
    (RANGE, "2.0.0-rc.1 1.9.1 / 1.9", "1.9.1", "2.0.0-rc.1 is outside >=1.2 <2"),
    (RANGE | PRE, "2.0.0-rc.1 1.9.1-rc.1 / 1.9", "1.9.1-rc.1", "2.0.0-rc.1 is outside"),
    (RANGE | PRE, "1.2.0-rc.1 / 1.1", "1.2.0-rc.1", ""),
    ({"range": ">=1.2.0-0 <2.0.0"}, "1.3.0-rc.1 2.0.0-rc.1 / 1.2", "1.3.0-rc.1", "2.0.0-rc.1 is outside >=1.2.0-0 <2.0.0"),
    ({"range": ">=1.2.0-rc.2"}, "1.2.0-rc.1 / 1.1", None, "1.2.0-rc.1 is outside"),
    ({"range": "1.2.0-rc.2"}, "1.2.0-rc.1 1.2.0-rc.2 1.2.0 / 1.1", "1.2.0-rc.2", "1.2.0 is outside 1.2.0-rc.2"),
    ({"range": "~1.27"}, "1.27.9 1.28 / 1.27", "1.27.9", "1.28 is outside ~1.27"),
    ({"range": "^0.3"}, "0.3.7 0.4.0 / 0.3.1", "0.3.7", "0.4.0 is outside ^0.3"),
    ({"range": "1.x || 3.x"}, "1.9 2.5 3.1 4.0 / 1.2", "3.1", "2.5 is outside 1.x || 3.x"),
    ({"range": "1.2.3 - 2"}, "1.2.2 2.7 3.0 / 1.2.2", "2.7", "3.0 is outside 1.2.3 - 2"),
    ({"range": "*"}, "nightly 9.9 / 1.26", "9.9", "nightly is not a version"),
    ({"range": "=1.27.3"}, "1.27.3 1.27.4 / 1.27", "1.27.3", "1.27.4 is outside =1.27.3"),
    ({"range": "~1.27"}, "1.27-alpine 1.27.1-alpine / 1.27-alpine", "1.27.1-alpine", "1.27.1-alpine is newer"),
    # Levels.
    (MAJOR, "1.27.4 1.28 2.0 / 1.27.3", "2.0", "2.0 is newer"),
    (MINOR, "1.27.4 1.28 2.0 / 1.27.3", "1.28", "2.0 is a major step from 1.27.3; the policy takes minor steps and patches only"),
    (PATCH, "1.27.4 1.28.0 2.0 / 1.27.3", "1.27.4", "1.28.0 is a minor step from 1.27.3; the policy takes patches only"),
    (PATCH, "2.0 / 1.27.3", None, "2.0 is a major step from 1.27.3; the policy takes patches only"),
    (PATCH, "1.28.1 / 1.27.3 1.28.0", "1.28.1", ""),
    (PATCH, "1.28.1 / 1.27.3 1.26.0", None, "1.28.1 is a minor step from 1.26.0 and 1.27.3; the policy takes patches only"),
    (PATCH, "1.27.3.1 / 1.27.3", "1.27.3.1", ""),
    (PATCH, "1.27.4 / latest", None, "1.27.4 cannot be told to be a small step from latest"),
    (MINOR, "1.27.4 / -", None, "cannot be told to be a small step from an image without a tag"),
    (MAJOR, "1.27.4 / latest", "1.27.4", ""),
    (MAJOR, "1.27.4 / -", "1.27.4", ""),
    (MAJOR, "latest nightly-20241001 / 1.26", None, "latest is not a version"),
    (MAJOR, "1.26 / 1.27", None, "1.26 is older than 1.27"),
    (MINOR | RANGE, "1.9 1.1 / 1.0", "1.9", "1.1 is outside"),
    # Prereleases.
    (ANY, "1.28.0-rc.1 / 1.27", None, "1.28.0-rc.1 is a prerelease; the policy takes releases only"),
    (ANY, "1.28.0-rc.1 1.27.1 / 1.27", "1.27.1", "the policy takes releases only"),
    (ANY, "1.28.0-rc.1 / latest", None, "the policy takes releases only"),
    (PRE, "1.28.0-rc.1 1.27.1 / 1.27", "1.28.0-rc.1", "1.28.0-rc.1 is newer"),
    (ANY, "1.28.0-rc.2 / 1.28.0-rc.1", "1.28.0-rc.2", ""),
    (ANY, "1.28.0-rc.1 / 1.28.0-beta.3", "1.28.0-rc.1", ""),
    (ANY, "1.28.0 1.28.0-rc.2 / 1.28.0-rc.1", "1.28.0", "1.28.0 is newer"),
    (ANY, "1.29.0-rc.1 / 1.28.0-rc.4", "1.29.0-rc.1", ""),
    (ANY, "1.29.0-alpha.1 / 1.28.0-rc.4", None, "the policy takes releases only"),
    (ANY, "1.0.1-dev / 1.0.0-dev", "1.0.1-dev", ""),
    (ANY, "1.28.0-rc.1 / 1.28.0", None, "1.28.0-rc.1 is older than 1.28.0"),
    (ANY, "1.28.0-14-g1e5f7a9 1.28.0-1e5f7a9 1.28.0-SNAPSHOT / 1.27", None, "1.28.0-14-g1e5f7a9 is a prerelease"),
    (ANY, "1.28.0-2 / 1.28.0-1", "1.28.0-2", ""),
    # Variants.
    (ANY, "1.27 1.27-perl 1.27-alpine / 1.26-alpine", "1.27-alpine", "1.27-perl is another variant than 1.26-alpine"),
    (ANY, "1.27 / 1.26-alpine", None, "1.27 is another variant than 1.26-alpine"),
    (ANY, "1.27-alpine / 1.26", None, "1.27-alpine is another variant than 1.26"),
    (MIXED, "1.27 1.27-perl / 1.26-alpine", "1.27", "1.27 is newer"),
    (MIXED, "1.27-perl / 1.26", "1.27-perl", ""),
    (MIXED, "1.19-perl / 1.27", None, "1.19-perl is older than 1.27"),
    (ANY, "1.27-alpine3.20 / 1.26-alpine3.19", "1.27-alpine3.20", ""),
    (ANY, "1.27-alpine3.9 1.27-alpine3.10 / 1.27-alpine3.9", "1.27-alpine3.10", "1.27-alpine3.10 is newer"),
    (ANY, "3.12-slim-bookworm 3.12-slim / 3.11-slim-bookworm", "3.12-slim-bookworm", "3.12-slim is another variant"),
    (ANY, "1.2.4-debian-12-r0 / 1.2.3-debian-12-r9", "1.2.4-debian-12-r0", ""),
    (PRE, "1.28.0-rc.1-alpine 1.28.0-rc.1 / 1.27-alpine", "1.28.0-rc.1-alpine", "1.28.0-rc.1 is another variant"),
    (ANY, "1.27-alpine / alpine", "1.27-alpine", ""),
    (MINOR, "1.27-alpine 2.0-alpine 1.28 / 1.26-alpine", "1.27-alpine", "1.28 is another variant"),
    # Expressions.
    (TIMES, "main-abc-9 main-def-10 dev-abc-11 / main-aaa-8", "main-def-10", "dev-abc-11 does not match main-[0-9a-f]+-([0-9]+)"),
    (TIMES, "main-def-10 / main-abc-11", None, "main-def-10 is older than main-abc-11"),
    (TIMES, "main-def-10 / 1.27", "main-def-10", ""),
    (RELEASES, "release-1.27 release-1.28 1.29 / release-1.26", "release-1.28", "1.29 does not match release-(?P<version>.+)"),
    (RELEASES, "release-1.27 / 1.30", None, "release-1.27 is older than 1.30"),
    (RELEASES, "release-candidate / release-1.2", None, "release-candidate is not a version"),
    (RELEASES, "release-1.27-arm release-1.27 / release-1.26-arm", "release-1.27-arm", "release-1.27 is another variant"),
    (RELEASES | PATCH, "release-1.27 release-1.26.1 / release-1.26", "release-1.26.1", "release-1.27 is a minor step"),
    ({"regex": r"^(\d+\.\d+)-alpine$"}, "1.28 1.27-alpine 1.28-perl / 1.26-alpine", "1.27-alpine", "1.28-perl does not match"),
    ({"regex": r"^(\d+\.\d+)-alpine$"}, "1.27-alpine / 1.26", None, "1.27-alpine is another variant than 1.26"),
    ({"regex": r"(?P<build>\d+)-v(?P<version>\d+)"}, "9-v1 1-v2 / 5-v1", "1-v2", "1-v2 is newer"),
    ({"regex": "(?:v(.+)|x)"}, "x v1.27 / v1.26", "v1.27", "x does not match"),
    ({"regex": "v(.+)"}, "dev1.27 / 1.26", None, "dev1.27 does not match v(.+)"),
    # Orders.
    (ALPHABETICAL, "2024-09-30 2024-10-01 / 2024-09-01", "2024-10-01", "2024-10-01 is newer"),
    (ALPHABETICAL, "v9 v10 / v8", "v9", "v10 is older than v8"),
    (ALPHABETICAL, "a / b", None, "a is older than b"),
    (NUMERICAL, "9 10 / 8", "10", "10 is newer"),
    (NUMERICAL, "20240930 20241001 latest / 20240101", "20241001", "latest is not a number"),
    (NUMERICAL, "7 / 8", None, "7 is older than 8"),
    (NUMERICAL, "7 / latest -", "7", ""),
    (DATED, "RELEASE.2024-02 RELEASE. / RELEASE.2024-01", "RELEASE.2024-02", "RELEASE. has nothing"),
    # Moving tags.
    (STABLE, "stable 1.27 / stable", "stable", "1.27 is not for devices on stable, a tag that moves by itself"),
    (STABLE, "stable / 1.27", "stable", ""),
    (STABLE, "stable 1.28 latest / 1.27", "1.28", "latest is not a version"),
    (STABLE, "1.28 / stable 1.27", "1.28", ""),
    ({"moving": ["latest"], "include": ["1.*"]}, "latest edge / latest 1.27", "latest", "edge does not match 1.*"),
    # Defect 15, with two settings.
    (MAJOR, "1.19-perl 1.28-perl 1.28 nightly sha-1e5f7a9 1.29.0-dev / 1.27", "1.28", "1.28-perl is another variant than 1.27"),
]  # fmt: skip


def _choice(rules: Rules, case: str) -> Choice:
    tags, _, running = case.partition("/")
    return choose(TagRules(**rules), tags.split(), ["" if tag == "-" else tag for tag in running.split()])


def test_there_are_many_cases_and_no_two_alike() -> None:
    assert len({(str(rules), case) for rules, case, _, _ in CASES}) == len(CASES) > 100


@pytest.mark.parametrize(("rules", "case", "chosen", "says"), CASES)
def test_the_newest_tag_that_the_rules_take_is_chosen(rules: Rules, case: str, chosen: str | None, says: str) -> None:
    choice = _choice(rules, case)

    assert choice.tag == chosen
    assert any(says in (verdict.why_not or "") for verdict in choice.verdicts) or not says, choice.verdicts


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"range": ">2 <1"}, "tags.range: no version can be in “>2 <1”"),
        ({"range": "latest"}, "tags.range: “latest” is not a range of versions; write one as npm does"),
        ({"range": ">=1.2, <2"}, "tags.range: “>=1.2, <2” is not a range"),
        ({"range": " "}, "tags.range: a range has 1 to 100 characters"),
        ({"range": "1" * 101}, "tags.range: a range has 1 to 100 characters"),
        ({"range": "<0.0.0"}, "tags.range: no version"),
        ({"regex": "("}, "tags.regex: “(” is not a regular expression that RE2 reads: missing )"),
        ({"regex": "(?=a)(b)"}, "tags.regex: “(?=a)(b)” is not a regular expression that RE2 reads"),
        ({"regex": "v.*"}, "tags.regex: put what is ordered in a group"),
        ({"regex": "(?:v.*)"}, "tags.regex: put what is ordered in a group"),
        ({"regex": "(a)" * 200}, "tags.regex"),
        ({"include": ["a/b"]}, "tags.include.0: “a/b” is not a pattern for tags"),
        ({"exclude": [""]}, "tags.exclude.0"),
        ({"exclude": ["x", "**"]}, "tags: exclude: “*” leaves no tag"),
        ({"moving": ["1.27"]}, "tags.moving.0: “1.27” is a version, and is taken as one"),
        ({"moving": ["-x"]}, "tags.moving.0: “-x” is not a tag"),
        ({"moving": ["nightly"], "exclude": ["n*"]}, "tags: moving: “nightly” is excluded by n*"),
        ({"moving": [SIGNED]}, "belongs to another image"),
        ({"range": "1", "order": "numerical"}, "tags: range: is about versions, and the order is numerical"),
        ({"level": "patch", "order": "alphabetical"}, "tags: level: is about versions"),
        ({"prereleases": True, "order": "alphabetical"}, "tags: prereleases: is about versions"),
        ({"level": "huge"}, "tags.level"),
        ({"colour": "red"}, "tags.colour"),
    ],
)
def test_rules_that_make_no_sense_are_refused_by_the_name_of_their_field(wrong: Rules, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        policy_settings({"image_pattern": "nginx", "update_strategy": "auto", "tags": wrong})

    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"poll_minutes": 0.5}, "registry.poll_minutes"),
        ({"min_age_minutes": -1}, "registry.min_age_minutes"),
        ({"unresolved": "never"}, "registry.unresolved"),
    ],
)
def test_registry_settings_that_make_no_sense_are_refused_by_the_name_of_their_field(wrong: Rules, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        policy_settings({"image_pattern": "nginx", "update_strategy": "auto", "registry": wrong})


@pytest.mark.parametrize(
    ("tag", "is_prerelease", "variant"),
    [
        ("1.27", False, ()), ("1.27-alpine", False, ("alpine",)), ("1.27-alpine3.19", False, ("alpine",)), ("1.28-rc.1", True, ()),
        ("1.28-rc2", True, ()), ("1.28.0-rc.1-slim-bookworm", True, ("slim", "bookworm")), ("1.28.0-3", False, ()),
        ("1.28.0-14-g1e5f7a9", True, ()), ("1.28.0-20241001", False, ()), ("17-ea-jdk", True, ("jdk",)),
        ("1.2.3-deadbeef", False, ("deadbeef",)),
    ],
)  # fmt: skip
def test_what_follows_a_version_is_unfinished_or_a_variant(tag: str, is_prerelease: bool, variant: tuple[str, ...]) -> None:
    version = Version.parse(tag)

    assert version is not None
    assert (version.is_prerelease, version.variant) == (is_prerelease, variant)


def test_devices_are_kept_from_a_tag_one_by_one() -> None:
    patches = TagRules(level=Level.PATCH)

    assert why_kept(patches, "1.27.4", "1.27.3") is None
    assert why_kept(patches, "1.27.4", "1.26.0") == "1.27.4 is a minor step from 1.26.0; the policy takes patches only"
    assert judge(patches, "1.27.4", {"1.26.0", "1.27.3"}) is None
    assert judge(patches, "", {"1.26.0"}) == "an image without a tag is not a version"


@pytest.mark.parametrize(
    ("rules", "together", "running", "first"),
    [
        (ANY, "1.4.2 1.4 latest", "1.4.1", "1.4.2"),
        (ANY, "latest main", "1.4.1", "main"),
        (ANY, "1.4.2 latest", "latest", "latest"),
        (ANY, "1.4.2 latest", "latest 1.4.1", "1.4.2"),
        (ANY, "1.4.2 1.4.2-rc.1 1.4.2-alpine", "1.4.1-alpine", "1.4.2-alpine"),
        (RANGE, "2.0.0 1.4.2 latest", "1.4.1", "1.4.2"),
        (PATCH, "2.0.0 1.5.0 1.4.2", "1.4.1", "1.4.2"),
    ],
)
def test_of_tags_that_are_pushed_together_all_but_one_give_way(rules: Rules, together: str, running: str, first: str) -> None:
    tags, policy = together.split(), TagRules(**rules)
    taken = [tag for tag in tags if judge(policy, tag, running.split()) is None]

    assert {tag: goes_before(policy, tag, tags, running.split()) for tag in taken} == {tag: first for tag in taken if tag != first} | {
        first: None
    }


def test_a_tag_that_moves_by_itself_gives_way_to_none() -> None:
    rules = TagRules(moving=("stable",))

    assert goes_before(rules, "stable", ["stable", "1.4.2"], ["1.4.1", "stable"]) is None
    assert goes_before(rules, "1.4.2", ["stable", "1.4.2"], ["1.4.1", "stable"]) is None
    assert goes_before(rules, "latest", ["stable", "1.4.2", "latest"], ["1.4.1", "stable"]) == "1.4.2"


def test_an_image_without_a_tag_is_as_good_as_any_unless_there_are_rules() -> None:
    assert judge(TagRules(), "", {"1.27", ""}) is None
    assert judge(TagRules(range="*"), "", {"1.27"}) == "an image without a tag is not a version"


def test_a_sentence_about_many_devices_names_some() -> None:
    why = judge(TagRules(), "1.0", [f"1.{minor}" for minor in range(1, 100)])

    assert why == "1.0 is older than 1.1, 1.10, 1.11 and 96 others"


def test_a_plan_keeps_its_rules_and_one_from_before_there_were_rules_has_those_by_default() -> None:
    rules = {"range": ">=1", "level": "minor", "include": ["1.*"], "moving": ["stable"]}
    plan = policy_settings({"image_pattern": "nginx", "update_strategy": "auto", "tags": rules}).plan()
    kept = document(plan)
    assert plan.tags == TagRules(**rules)
    assert from_document(kept) == plan

    del kept["tags"]
    assert from_document(kept).tags == TagRules()


@pytest.mark.parametrize("regex", ["(a+)+$", "((a|aa)+)+b", "(a|a?)+(a|a)*c", "([a-z]+)*[0-9]", r"(.*)(.*)(.*)(.*)(.*)=", "(a?){500}a"])
def test_no_expression_is_slow(regex: str) -> None:
    rules, began = TagRules(regex=regex), time.process_time()
    for length in range(1, 129):
        judge(rules, "a" * length + "!", {"1.27"})

    assert time.process_time() - began < 1


def test_a_registry_with_ten_thousand_tags_is_judged_at_once() -> None:
    rules, tags = TagRules(range=">=1.2 <90", level=Level.MINOR), [f"{n % 100}.{n // 100}.{n}" for n in range(10_000)]
    began = time.process_time()

    assert choose(rules, tags, {f"{n}.0.1" for n in range(20)}).tag == "19.99.9919"
    assert time.process_time() - began < 10


usual_tags = [
    "", "1", "1.26", "1.27", "1.27.1", "v1.27.0", "1.28-rc.1", "1.28.0", "2.0.0", "1.27-alpine", "1.28-alpine", "1.28-perl", "latest",
    "stable", "nightly-7", "main-abc-10", "main-def-9", "release-1.28", "release-1.26", "20241001", "1.27.sig", SIGNED,
]  # fmt: skip
like_versions = st.from_regex(r"[v]?[0-9]{1,2}(\.[0-9]{1,2}){0,3}(-(rc|alpine)\.?[0-9]?)?", fullmatch=True)
some_tags = st.sampled_from(usual_tags) | like_versions
some_lists = st.lists(some_tags, max_size=8)
about_versions = st.fixed_dictionaries(
    {},
    optional={
        "range": st.sampled_from([">=1.2 <2", "*", "~1.27", ">=1.28.0-0", "1.x || 3.x"]),
        "level": st.sampled_from(list(Level)),
        "prereleases": st.booleans(),
        "same_variant": st.booleans(),
        "regex": st.sampled_from(["(.+)", "v?(?P<version>[0-9.]+)(-alpine)?", "release-(.+)"]),
        "include": st.sampled_from([["1.*"], ["*"], ["1*", "release-*"]]),
        "moving": st.sampled_from([["latest"], ["latest", "stable"]]),
    },
)
about_others = st.fixed_dictionaries(
    {"order": st.sampled_from([Order.ALPHABETICAL, Order.NUMERICAL])},
    optional={"regex": st.sampled_from(["main-[a-f]+-([0-9]+)", "(.+)"]), "moving": st.just(["latest"])},
)
some_rules = st.builds(lambda fields: TagRules(**fields), about_versions | about_others)


@settings(max_examples=600, deadline=None)
@given(some_rules, some_lists, some_lists)
def test_what_is_chosen_is_there_and_never_goes_back(rules: TagRules, tags: list[str], running: list[str]) -> None:
    chosen = choose(rules, tags, running).tag

    if chosen is not None:
        assert chosen in tags
        assert not running or any(not goes_back(rules, chosen, than) and why_kept(rules, chosen, than) is None for than in running)


@settings(max_examples=600, deadline=None)
@given(some_rules, some_lists, some_lists, st.randoms())
def test_the_order_in_which_a_registry_lists_its_tags_does_not_matter(
    rules: TagRules, tags: list[str], running: list[str], random: Any
) -> None:
    shuffled, others = random.sample(tags, len(tags)), random.sample(running, len(running))

    assert choose(rules, shuffled + tags[:1], others) == choose(rules, tags, running)


@settings(max_examples=600, deadline=None)
@given(some_rules, some_lists, some_lists)
def test_every_tag_is_judged_as_if_it_were_pushed(rules: TagRules, tags: list[str], running: list[str]) -> None:
    choice = choose(rules, tags, running)

    assert {verdict.tag for verdict in choice.verdicts} == set(tags)
    assert [verdict.tag for verdict in choice.verdicts if verdict.why_not is None] == ([] if choice.tag is None else [choice.tag])
    for verdict in choice.verdicts:
        judged = judge(rules, verdict.tag, running)
        assert judged is None or verdict.why_not == judged
        assert choice.tag is not None or judged is not None or "has no place in the order" in (verdict.why_not or "")


@settings(max_examples=600, deadline=None)
@given(some_rules, some_lists, some_lists)
def test_of_those_that_are_taken_nothing_newer_is_passed_over(rules: TagRules, tags: list[str], running: list[str]) -> None:
    chosen = choose(rules, tags, running).tag

    # Devices that all run tags without a place keep to them, so the newest version may well be passed over there.
    if chosen is not None and chosen not in running:
        assert not any(goes_back(rules, chosen, tag) for tag in tags if judge(rules, tag, running) is None)


@settings(max_examples=600, deadline=None)
@given(some_rules, some_tags, some_tags, some_tags)
def test_going_back_is_an_order(rules: TagRules, a: str, b: str, c: str) -> None:
    assert not goes_back(rules, a, a)
    assert not (goes_back(rules, a, b) and goes_back(rules, b, a))
    assert goes_back(rules, a, c) or not (goes_back(rules, a, b) and goes_back(rules, b, c))


@settings(max_examples=300, deadline=None)
@given(some_rules, st.text(max_size=20), st.lists(st.text(max_size=20), max_size=3))
def test_whatever_is_said_to_be_a_tag_is_judged(rules: TagRules, tag: str, running: list[str]) -> None:
    judged = judge(rules, tag, running)

    assert judged is None or judged


# Through a push.


async def _refused(operator: Context, image: str) -> str:
    [decision] = await pushed(operator, image)
    assert not decision.started
    return decision.decision


async def test_devices_on_a_variant_get_their_variant_within_the_range(operator: Context) -> None:
    alpine, plain = await crowd(operator.db, 2, "nginx:1.26-alpine"), await crowd(operator.db, 2, "nginx:1.26")
    await a_policy(operator, update_strategy="auto", tags={"range": ">=1.2 <2", "exclude": ["nightly-*"]})

    assert await _refused(operator, "nginx:1.27-perl") == "1.27-perl is another variant than 1.26 and 1.26-alpine"
    assert await _refused(operator, "nginx:2.0.0-alpine") == "2.0.0-alpine is outside >=1.2 <2"
    assert await _refused(operator, "nginx:nightly-7") == "nightly-7 is excluded by nightly-*"
    assert await _refused(operator, "nginx:1.28-rc.1") == "1.28-rc.1 is a prerelease; the policy takes releases only"
    rollout = await push(operator, "nginx:1.27-alpine")
    await reconcile(operator.db)

    async with operator.db.reading() as conn:
        assert set(await offered(conn, rollout)) == set(alpine)
    await finished(operator.db, rollout)
    rollout = await push(operator, "nginx:1.27")
    await reconcile(operator.db)
    async with operator.db.reading() as conn:
        assert set(await offered(conn, rollout)) == set(plain)


async def test_a_patch_for_some_is_more_than_that_for_others_who_are_left_out(operator: Context) -> None:
    near, far = await crowd(operator.db, 2, "nginx:1.27.3"), await crowd(operator.db, 2, "nginx:1.26.0")
    policy = await a_policy(operator, update_strategy="auto", tags={"level": "patch"})
    assert await _refused(operator, "nginx:1.28.0") == "1.28.0 is a minor step from 1.26.0 and 1.27.3; the policy takes patches only"
    rollout = await push(operator, "nginx:1.27.4")
    await reconcile(operator.db)
    async with operator.db.reading() as conn:
        assert set(await offered(conn, rollout)) == set(near)

    await finished(operator.db, rollout)
    by_hand = await images.create_rollout(operator, policy.id, "nginx:1.28.0")
    await reconcile(operator.db)

    async with operator.db.reading() as conn:
        assert set(await offered(conn, by_hand.id)) == {*near, *far}


async def test_a_rollout_keeps_the_rules_it_started_with(operator: Context) -> None:
    await crowd(operator.db, 2, "nginx:1.27.3")
    await a_policy(operator, update_strategy="auto", tags={"level": "patch"})
    rollout = await push(operator, "nginx:1.27.4")

    assert (await read(operator.db, rollout)).plan.tags == TagRules(level=Level.PATCH)
