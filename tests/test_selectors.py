"""Selectors: what they mean is said twice, in Python and by the database; policies that are for devices with certain labels."""

import pytest
from hypothesis import given
from hypothesis import settings as drawn
from hypothesis import strategies as st

from domain.errors import BadInput
from domain.previews import LeftOut, sentence
from domain.selectors import LONGEST, Is, Selector, Term, document
from monitor.reconciler import reconcile
from resolvers import devices, policies
from resolvers.context import Context
from resolvers.previews import preview
from resolvers.targets import set_target
from storage.database import Database
from tests.api import Api
from tests.factories import a_policy, finished, push
from tests.field import Field
from tools.crowd import crowd
from tools.pushing import pushed

# Words that mean something elsewhere in a selector, and characters that mean something to SQL/JSON paths.
_ODD = [
    "in",
    "notin",
    "not",
    "a b",
    "=",
    "!",
    "(",
    ",",
    "'",
    '"',
    "\\",
    '\\"',
    "$",
    "@",
    "*",
    "köln",
    "\n",
    "\x7f",
    "1",
    "true",
    "null",
    "🙂",
]
_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_NAMES = st.sampled_from(["site", "tier", *_ODD]) | st.text(_CHARACTERS, min_size=1, max_size=5)
_VALUES = st.sampled_from(["berlin", "edge", "", *_ODD]) | st.text(_CHARACTERS, max_size=5)
_TERMS = st.one_of(
    st.builds(
        Term,
        _NAMES,
        st.sampled_from([Is.IN, Is.NOT_IN]),
        st.sets(_VALUES, min_size=1, max_size=4).map(lambda values: tuple(sorted(values))),
    ),
    st.builds(Term, _NAMES, st.sampled_from([Is.THERE, Is.MISSING])),
)
_SELECTORS = st.lists(_TERMS, min_size=1, max_size=4).map(lambda terms: Selector(tuple(terms)))
_LABELS = st.dictionaries(_NAMES, _VALUES, max_size=4)


@given(_SELECTORS)
def test_a_selector_that_is_written_down_reads_as_itself(selector: Selector) -> None:
    assert Selector.parse(str(selector)) == selector
    assert Selector.from_document(document(selector)) == selector


async def test_the_domain_and_the_database_mean_the_same_devices(db: Database) -> None:
    cases: list[tuple[Selector, dict[str, str]]] = []

    @drawn(max_examples=600, database=None)
    @given(_SELECTORS, _LABELS)
    def draw(selector: Selector, labels: dict[str, str]) -> None:
        cases.append((selector, labels))
        # Chance alone would hardly ever draw labels that a selector names.
        cases.append((selector, labels | {term.label: value for term in selector.terms for value in term.values[:1]}))

    draw()
    async with db.reading() as conn:
        for selector, labels in cases:
            said = await conn.fetchval("select selects($1, $2)", document(selector), labels)
            assert said is selector.matches(labels), (str(selector), labels)
    assert {selector.matches(labels) for selector, labels in cases} == {True, False}


LABELS = {"site": "berlin", "tier": "edge", "rack": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("site=berlin", True), ("site==berlin", True), ("site=paris", False), ("site!=paris", True), ("site!=berlin", False),
        ("owner!=ann", True), ("owner=ann", False), ("tier in (edge, lab)", True), ("tier in (lab)", False), ("owner in (ann)", False),
        ("tier notin (lab)", True), ("tier not in (edge,lab)", False), ("owner notin (ann)", True), ("site", True), ("owner", False),
        ("!owner", True), ("!site", False), ("site=berlin, tier in (edge, lab), !frozen", True), ("site=berlin, tier=lab", False),
        ('rack=""', True), ("rack", True), ("owner=''", False), ("Site=berlin", False),
    ],
)  # fmt: skip
def test_a_selector_means_what_kubernetes_means_by_it(text: str, matches: bool) -> None:
    assert Selector.parse(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a selector says something"),
        (" \n", "a selector says something"),
        ("site=", "character 6: expected a value, found the end"),
        ("site=,tier", "character 6: expected a value, found “,”"),
        ("site berlin", "character 6: expected =, !=, in, notin or a comma, found “berlin”"),
        ("site < 3", "character 6: “<” has to stand in quotes"),
        ("tier in edge", "character 9: expected “(”, found “edge”"),
        ("tier in ()", "character 10: expected a value, found “)”"),
        ("tier in (edge", "character 14: expected a comma or “)”, found the end"),
        ("tier not edge", "character 10: expected “in”, found “edge”"),
        ("site=berlin tier=edge", "character 13: expected a comma or the end, found “tier”"),
        ("site=berlin,", "character 13: expected the name of a label, found the end"),
        ("!site=berlin", "character 6: expected a comma or the end, found “=”"),
        ('site="berlin', "character 6: a quote that is never closed"),
        ('site "=" berlin', "character 6: expected =, !=, in, notin or a comma, found “=”"),
        ('"" = x', "character 1: the name of a label has 1 to 63 characters"),
        ("s" * 64, "character 1: the name of a label has 1 to 63 characters"),
        ("site=" + "b" * 256, "character 6: a value has 0 to 255 characters"),
        (",".join(["a"] * 33), "at most 32 terms"),
        ("a in (" + ",".join(["b"] * 101) + ")", "at most 100 values in all terms together"),
        (",".join([f"a in ({','.join('abcdefghijklmnopqrstuvwxyz')})"] * 4), "at most 100 values in all terms together"),
        ("a" * (LONGEST + 1), "at most 2000 characters, this one has 2001"),
        (",".join(["a='" + '"' * 240 + "'"] * 8), "at most 2000 characters, spaces after commas included"),
    ],
)
def test_a_selector_that_makes_no_sense_is_refused_with_the_place_and_what_belongs_there(text: str, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        Selector.parse(text)
    assert words in str(refused.value)


# Policies for devices with certain labels


async def test_only_devices_with_such_labels_take_part_and_a_preview_says_why_the_others_do_not(field: Field) -> None:
    edge, lab, bare = await field.devices(2, tier="edge"), await field.devices(1, tier="lab"), await field.devices(1)
    policy = await a_policy(field.operator, devices="tier = edge", update_strategy="auto")

    told = await preview(field.operator, policy.id, "nginx:2.0.0", (), 10)
    rollout = await push(field.operator, "nginx:2.0.0")
    await reconcile(field.operator.db)

    [sample] = told.left_out
    assert (told.sizes, sample.why, sample.devices) == ((2,), LeftOut.OTHER_LABELS, 2)
    assert [sentence(sample.why, device) for device in sample.first] == ["its labels are tier=lab", "it has no labels"]
    assert [device.device_id for device in sample.first] == [*lab, *bare]
    assert sorted(await field.ranked(rollout)) == edge
    assert (await finished(field.operator.db, rollout)).selector == Selector.parse("tier=edge")


async def test_a_rollout_keeps_the_selector_it_began_with_also_for_devices_that_come_late(field: Field) -> None:
    await field.devices(2, tier="edge")
    late, other = await field.devices(1, "redis:7", tier="edge"), await field.devices(1, "redis:7", tier="lab")
    policy = await a_policy(field.operator, devices="tier=edge")
    rollout = await push(field.operator, "nginx:2.0.0")
    await reconcile(field.operator.db)
    await policies.update(field.operator, policy.id, {"devices": "tier=lab"})

    apps = {"1001": {"appId": 1001, "services": [{"serviceName": "web", "imageName": "nginx:1.0.0"}]}}
    for device in (*late, *other):
        await set_target(field.operator, await field.uuid(device), apps)

    assert (await field.ranked(rollout))[2:] == late


async def test_a_push_that_devices_with_such_labels_run_already_starts_nothing(field: Field) -> None:
    await field.devices(1, "nginx:2.0.0", tier="edge")
    await field.devices(1, "nginx:1.0.0", tier="lab")
    policy = await a_policy(field.operator, devices="tier=edge")

    [runs_it] = await pushed(field.operator, "nginx:2.0.0")
    await policies.update(field.operator, policy.id, {"devices": "tier=attic"})
    [nobody] = await pushed(field.operator, "nginx:3.0.0")

    assert (runs_it.started, runs_it.decision) == (False, "every device already runs nginx:2.0.0")
    assert (nobody.started, nobody.decision) == (False, "no device that this policy governs runs nginx")


async def test_a_rollout_that_finds_nobody_with_such_labels_says_so(field: Field) -> None:
    [device] = await field.devices(1, tier="edge")
    await a_policy(field.operator, devices="tier=edge")
    rollout = await push(field.operator, "nginx:2.0.0")
    await devices.set_labels(field.operator, await field.uuid(device), {"tier": "lab"})
    await reconcile(field.operator.db)

    assert (await field.read(rollout)).reason == "it is for no device: 1 with other labels"


async def test_a_fleets_own_policy_governs_it_also_where_that_is_for_some_of_its_devices_only(operator: Context) -> None:
    await crowd(operator.db, 2, fleet="plant-a")
    everywhere = await a_policy(operator)
    await a_policy(operator, fleet="plant-a", devices="tier=edge")

    told = await preview(operator, everywhere.id, "nginx:2.0.0", (), 10)

    assert [(sample.why, sample.devices) for sample in told.left_out] == [(LeftOut.OWN_POLICY, 2)]


async def test_what_a_completed_rollout_brought_to_others_stays_theirs_to_be_taken_back(field: Field) -> None:
    await field.devices(1, tier="edge")
    lab = await field.devices(1, tier="lab")
    policy = await a_policy(field.operator, update_strategy="auto")
    first = await push(field.operator, "nginx:2.0.0")
    await reconcile(field.operator.db)
    await finished(field.operator.db, first)
    await policies.update(field.operator, policy.id, {"devices": "tier=edge"})
    await push(field.operator, "nginx:3.0.0")
    await reconcile(field.operator.db)

    async with field.operator.db.reading() as conn:
        live = await conn.fetch("select device_id from members where rollout_id = $1 and live", first)
    assert [row["device_id"] for row in live] == lab


async def test_a_policys_selector_is_kept_in_one_spelling_and_refused_by_name(api: Api) -> None:
    policy = await api.policy(devices="tier in (lab,edge),site == 'a b'")
    shown = (await api.graphql("query ($id: ID!) { policy(id: $id) { devices } }", id=policy))["policy"]["devices"]

    assert shown == 'tier in (edge, lab), site="a b"'
    for text, words in (("tier=", "devices: selector, character 6: expected a value, found the end"), ("", "devices: a selector says")):
        code, sentence = await api.refusal("updatePolicy", id=policy, devices=text)
        assert (code, sentence.startswith(words)) == ("INVALID_INPUT", True), sentence
    assert await api.change("updatePolicy", "policy { devices }", id=policy, devices=None) == {"policy": {"devices": None}}
