"""The rollwave command against a running server: what people read, what programs read, and what CI goes by."""

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from rollwave.commands import rollwave
from rollwave.ends import End
from schema.nodes import node_id
from server.process import running
from server.settings import Settings
from tests.api import Api, eventually, nth
from tests.commanding import Terminal, read_all, screen
from tests.conftest import SECRET
from tools.snapshots import ROOT

UUID = nth(1)
PAGE = (ROOT / "docs" / "command-line.md").read_text()


@pytest.fixture
def terminal(api: Api, tmp_path: Path) -> Terminal:
    """Where CI would run it."""
    return Terminal.of(api, tmp_path)


async def _under_way(api: Api, **settings: object) -> None:
    """A rollout of nginx:1.27 to one device, which has not heard of it yet."""
    await api.devices("nginx:1.26")
    await api.policy(**settings)
    await api.push("nginx:1.27")
    if settings.get("updateStrategy", "AUTO") == "AUTO" and not settings.get("approvals"):
        await eventually(api.status, "IN_PROGRESS")


async def test_ci_creates_a_rollout_and_ends_with_0_when_it_is_completed(api: Api, terminal: Terminal) -> None:
    [device] = await api.devices("nginx:1.26")
    await api.policy()
    create = ("rollouts", "create", "--policy", "1", "--image", "nginx:1.27", "--idempotency-key", "run 17")

    async with terminal.running(*create, "--wait", "--json") as command:
        await command.says("in progress, batch 1 of 1: 1 of 1 devices are offered the image")
        assert await device.obey() == "nginx:1.27"
        ended = await command.end()
    again = await terminal.run(*create, "--wait", "--json")

    assert (ended.code, ended.json["status"], ended.json["number"]) == (0, "COMPLETED", 1)
    assert (again.code, again.json["number"]) == (0, 1)


async def test_a_rollout_that_is_rolled_back_ends_with_1(api: Api, terminal: Terminal) -> None:
    await _under_way(api)
    [device] = [await api.device(UUID)]
    async with terminal.running("rollout", "wait", "1") as command:
        await command.says("in progress")
        await device.poll()
        await device.report("nginx:1.27", "exited")
        await command.says("rolling back")
        late = await terminal.run("rollout", "wait", "1", "--timeout", "1s")
        await device.obey()
        ended = await command.end()

    assert late.code == 1
    assert ended.code == 1
    assert ended.out.startswith("rollout 1 of nginx:1.27 is rolled back")


async def test_a_rollout_that_is_cancelled_ends_with_3(api: Api, terminal: Terminal) -> None:
    await _under_way(api)
    async with terminal.running("rollouts", "wait", "1") as command:
        await command.says("in progress")
        cancelled = await terminal.run("rollouts", "cancel", "1", "--reason", "wrong image")
        ended = await command.end()

    assert (cancelled.code, cancelled.out) == (0, "rollout 1 of nginx:1.27 is cancelled\n")
    assert (ended.code, ended.out) == (3, "rollout 1 of nginx:1.27 is cancelled: wrong image\n")


async def test_when_the_time_is_over_the_command_ends_with_4_and_the_rollout_goes_on(api: Api, terminal: Terminal) -> None:
    await _under_way(api)

    ended = await terminal.run("rollouts", "watch", "1", "--timeout", "1s")

    assert ended.code == 4
    assert "the time is over; the rollout is in progress, and goes on" in ended.err
    assert await api.status() == "IN_PROGRESS"


async def test_ctrl_c_ends_with_130_without_a_traceback_and_the_rollout_goes_on(api: Api, terminal: Terminal) -> None:
    await _under_way(api)
    async with terminal.running("rollouts", "wait", "1") as command:
        await command.says("in progress")
        command.process.send_signal(signal.SIGINT)
        ended = await command.end()

    assert (ended.code, ended.out, ended.err.strip()) == (130, "", "")
    assert await api.status() == "IN_PROGRESS"


async def test_a_server_that_is_not_there_ends_with_5(api: Api, terminal: Terminal) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        gone = await replace(terminal, url=nowhere).run("rollouts", "list")
    other = await replace(terminal, url=f"{api.url}/elsewhere").run("rollouts", "list")

    assert (gone.code, gone.out) == (5, "")
    assert gone.err.startswith(f"{nowhere} cannot be reached: ")
    assert other.code == 5
    assert "answers 404, and not as a Rollwave server does: is the address right?" in other.err


async def test_what_is_refused_ends_with_2_and_the_servers_sentence(api: Api, terminal: Terminal) -> None:
    await _under_way(api)
    code, sentence = await api.refusal("startRollout", id=node_id("Rollout", 1))

    started = await terminal.run("rollouts", "start", "1")
    missing = await terminal.run("rollouts", "show", "17")
    enormous = [await terminal.run(kind, "show", digits) for kind, digits in (("rollout", "2147483648"), ("policy", "9" * 5000))]
    stranger = await replace(terminal, token="no-token").run("rollouts", "list")
    nonsense = await terminal.run("rollouts", "wait", "1", "--timeout", "soon")

    assert code == "ILLEGAL_MOVE"
    assert (started.code, started.out, started.err) == (2, "", f"{sentence}\n")
    assert (missing.code, missing.err) == (2, "there is no rollout 17\n")
    assert [ended.err for ended in enormous] == ["there is no rollout 2147483648\n", f"there is no policy {'9' * 5000}\n"]
    assert (stranger.code, stranger.err.count("\n")) == (2, 1)
    assert "token" in stranger.err
    assert (nonsense.code, "“soon” is no time such as 90s, 30m or 1h30m" in nonsense.err) == (2, True)


async def test_whoever_waits_sees_a_pause_and_why_and_the_end(api: Api, terminal: Terminal) -> None:
    await _under_way(api)
    device = await api.device(UUID)
    async with terminal.running("rollouts", "watch", "1", "--json") as command:
        await command.says("in progress")
        await terminal.run("rollouts", "pause", "1", "--reason", "lunch")
        await command.says("paused, batch 1 of 1 (lunch)")
        await command.says("it is paused: lunch; resume it, roll it back or cancel it")
        assert (await terminal.run("rollouts", "resume", "rollout 1")).code == 2
        assert (await terminal.run("rollouts", "resume", node_id("Rollout", 1))).code == 0
        await command.says("in progress")
        await device.obey()
        ended = await command.end()

    assert (ended.code, ended.json["status"], ended.json["progress"]["devices"]["updated"]) == (0, "COMPLETED", 1)


async def test_a_server_that_restarts_is_waited_for(database_url: str, settings: Settings, tmp_path: Path) -> None:
    async with running(settings, database_url) as server, Api.of(server, SECRET) as api:
        await _under_way(api)
        terminal = Terminal.of(api, tmp_path)
        command = terminal.running("rollouts", "wait", "1")
        waiting = await command.__aenter__()
        await waiting.says("in progress")
    assert "trying again" in await waiting.says("trying again")

    same = replace(settings, port=int(server.url.rpartition(":")[2]))
    async with running(same, database_url) as server, Api.of(server, SECRET) as api:
        assert (await terminal.run("rollouts", "pause", "1")).code == 0
        await waiting.says("paused")
        assert (await terminal.run("rollouts", "cancel", "1")).code == 0
        ended = await waiting.end()

    assert ended.code == 3
    await command.__aexit__(None, None, None)


async def test_a_server_that_stays_away_ends_with_5(database_url: str, settings: Settings, tmp_path: Path) -> None:
    async with running(settings, database_url) as server, Api.of(server, SECRET) as api:
        await _under_way(api)
        command = Terminal.of(api, tmp_path).running("rollouts", "wait", "1", "--patience", "1s")
        waiting = await command.__aenter__()
        await waiting.says("in progress")
    ended = await waiting.end()

    assert ended.code == 5
    assert "Traceback" not in ended.err
    await command.__aexit__(None, None, None)


async def test_in_a_terminal_a_bar_shows_how_many_devices_run_the_image(api: Api, terminal: Terminal) -> None:
    await _under_way(api)
    device = await api.device(UUID)
    master, slave = screen()
    async with terminal.running("rollouts", "watch", "1", stderr=slave) as command:
        os.close(slave)
        seen = asyncio.create_task(asyncio.to_thread(read_all, master))
        await asyncio.sleep(2)
        await device.obey()
        ended = await command.end()
        shown = await seen

    assert ended.code == 0
    assert "100%" in shown
    assert "completed" in shown
    assert ended.out == "rollout 1 of nginx:1.27 is completed\n"


async def test_the_bar_fits_80_columns_and_does_not_count_devices_on_trial(api: Api, terminal: Terminal) -> None:
    agents = await api.devices("nginx:1.26", "nginx:1.26")
    await api.policy(healthCheckEnabled=True, soakMinutes=10)
    await api.push("nginx:1.27")
    await eventually(api.status, "IN_PROGRESS")
    for agent in agents:
        await agent.obey()

    ended = await terminal.typing("rollouts", "watch", "1", "--timeout", "2s")
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", ended.err))

    assert ended.code == 4
    assert max(map(len, lines)) <= 80
    assert any(re.fullmatch(r"rollout 1 ━{16}   0% in progress, batch 1 of 1: 2 updated +0:00:0\d *", line) for line in lines), lines
    assert "100%" not in ended.err


async def test_a_rollout_names_the_first_ten_devices_that_failed_and_what_they_said(api: Api, terminal: Terminal) -> None:
    agents = await api.devices(*["nginx:1.26"] * 11)
    await api.policy(autoRollbackEnabled=False)
    await api.push("nginx:1.27")
    await eventually(api.status, "IN_PROGRESS")
    for agent in agents:
        await agent.poll()
        await agent.report("nginx:1.27", "exited")
    await eventually(api.status, "PAUSED")

    shown = await terminal.run("rollouts", "show", "1")
    explained = await terminal.run("rollouts", "explain", "1")
    document = (await terminal.run("rollouts", "show", "1", "--json")).json["failed"]["nodes"]

    for told in (shown, explained):
        [line] = [line for line in told.out.splitlines() if UUID in line]
        assert re.fullmatch(rf"press 0000 +{UUID} +failed +.*exited.*", line), told.out
        assert told.err == "and 1 more\n"
    assert len(document) == 10
    assert document[0]["reason"]


async def test_a_device_that_failed_is_named_when_it_is_back_too(api: Api, terminal: Terminal) -> None:
    await _rolled_back(api)

    shown = await terminal.run("rollouts", "show", "1")

    [line] = [line for line in shown.out.splitlines() if UUID in line]
    assert re.fullmatch(rf"press 0000 +{UUID} +rolled back +.*exited.*", line), shown.out


async def _rolled_back(api: Api) -> None:
    """A rollout of nginx:1.27 whose one device did not start it."""
    await _under_way(api)
    device = await api.device(UUID)
    await device.poll()
    await device.report("nginx:1.27", "exited")
    await eventually(api.status, "ROLLING_BACK")
    await device.obey()
    await eventually(api.status, "ROLLED_BACK")


async def test_a_release_that_was_rolled_back_is_rolled_out_again_once_it_is_unblocked(api: Api, terminal: Terminal) -> None:
    await _rolled_back(api)
    create = ("rollouts", "create", "--policy", "1", "--image", "nginx:1.27")
    unblock = ("policies", "unblock", "1", "--image", "nginx:1.27")

    refused = await terminal.run(*create)
    first, again = await terminal.run(*unblock), await terminal.run(*unblock, "--json")
    created = await terminal.run(*create)

    assert (refused.code, "unblock it first" in refused.err) == (2, True)
    assert (first.code, first.out) == (0, "nginx:1.27 is unblocked under policy 1\n")
    assert (again.code, again.json["wasBlocked"], again.json["policy"]["number"]) == (0, False, 1)
    assert (created.code, created.out) == (0, "rollout 2 of nginx:1.27 is enrolling\n")


async def test_a_login_is_checked_and_kept_where_nobody_else_can_read_it(api: Api, tmp_path: Path) -> None:
    here, kept = Terminal(tmp_path), tmp_path / "rollwave" / "login.json"
    nobody = await here.run("rollouts", "list")
    wrong = await here.run("login", "--url", api.url, "--token-stdin", stdin="wrong\n")
    assert (nobody.code, wrong.code) == (2, 2)
    assert nobody.err == "no server is known: `rollwave login`, or set ROLLWAVE_URL and ROLLWAVE_TOKEN\n"
    assert _mode(kept) is None

    right = await here.run("login", "--url", f"{api.url}/graphql/", "--token-stdin", stdin=f"{api.token}\n")
    elsewhere = await replace(here, url="http://127.0.0.1:9").run("rollouts", "list")

    assert (right.code, right.out) == (0, f"logged in at {api.url}; kept in {kept}\n")
    assert _mode(kept) == 0o600
    assert (await here.run("rollouts", "list", "--json")).json == []
    assert (elsewhere.code, "the token that is kept is for" in elsewhere.err) == (2, True)
    assert (await here.run("logout")).out == "logged out\n"
    assert (await here.run("rollouts", "list")).code == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "login needs --url"),
        (("--url", "http://127.0.0.1:9"), "nobody can be asked here: login needs --token-stdin, and the token on stdin"),
        (("--url", "http://127.0.0.1:9", "--token-stdin"), "there is no token on stdin"),
    ],
)
async def test_a_login_where_nobody_can_be_asked_says_what_it_needs(tmp_path: Path, options: tuple[str, ...], sentence: str) -> None:
    asked = await Terminal(tmp_path).run("login", *options)

    assert (asked.code, sentence in asked.err, "Warning" in asked.err) == (2, True, False)


async def test_an_address_that_ends_in_graphql_is_the_servers(api: Api, terminal: Terminal) -> None:
    assert (await replace(terminal, url=f"{api.url}/graphql").run("rollouts", "list", "--json")).json == []


def _mode(path: Path) -> int | None:
    """Who may do what with a file; None if there is none."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


async def test_policies_are_made_of_options_and_of_files(api: Api, terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(
        json.dumps({"imagePattern": "redis*", "updateStrategy": "AUTO", "stages": [{"sharePercent": 50}, {"sharePercent": 100}]})
    )
    misspelt = tmp_path / "misspelt.json"
    misspelt.write_text(json.dumps({"imagePattern": "redis*", "updateStrategy": "AUTO", "stages": [{"percent": 50}]}))

    options = await terminal.run(
        "policies", "create", "--image-pattern", "nginx*", "--update-strategy", "staged", "--no-auto-rollback", "--json"
    )
    both = await terminal.run("policy", "create", "--file", str(file), "--update-strategy", "staged")
    wrong = await terminal.run("policies", "create", "--file", str(misspelt))
    short = await terminal.run("policies", "create", "--image-pattern", "nginx*")
    bad = await terminal.run("policies", "create", "--image-pattern", "nginx*", "--update-strategy", "auto", "--max-failure-rate", "7")

    assert (options.json["number"], options.json["updateStrategy"]) == (1, "STAGED")
    assert (both.code, both.out) == (0, "policy 2 for redis* is created\n")
    assert (wrong.code, "a policy has no field stages.0.percent\n" in wrong.err) == (2, True)
    assert (short.code, "a policy needs the field updateStrategy\n" in short.err) == (2, True)
    assert bad.code == 2
    [first, second] = (await terminal.run("policies", "list", "--json")).json
    assert (first["imagePattern"], second["imagePattern"]) == ("nginx*", "redis*")
    shown = (await terminal.run("policies", "show", "2", "--json")).json
    assert [stage["sharePercent"] for stage in shown["stages"]] == [50, 100]
    assert shown["autoRollbackEnabled"]


async def test_policies_are_disabled_enabled_and_deleted(api: Api, terminal: Terminal) -> None:
    await api.policy()

    assert not (await terminal.run("policies", "disable", "1", "--json")).json["enabled"]
    assert (await terminal.run("policies", "enable", "1")).out == "policy 1 for nginx* is enabled\n"
    assert (await terminal.run("policies", "delete", "1", "--yes", "--json")).json["deletedAt"]
    assert (await terminal.run("policies", "list")).err == "none\n"


async def test_a_policy_is_deleted_only_if_somebody_says_yes(api: Api, terminal: Terminal) -> None:
    await api.policy()
    delete = ("policies", "delete", "1")

    unasked = await terminal.run(*delete)
    doubtful = await terminal.typing(*delete, keys="n\n")
    kept = (await terminal.run("policies", "list", "--json")).json
    sure = await terminal.typing(*delete, keys="y\n")

    assert (unasked.code, "nobody can be asked here: delete needs --yes" in unasked.err) == (2, True)
    assert (doubtful.code, doubtful.out, "delete policy 1 for nginx*?" in doubtful.err) == (130, "", True)
    assert len(kept) == 1
    assert (sure.code, sure.out) == (0, "policy 1 for nginx* is deleted\n")


async def test_a_preview_tells_what_creating_would_do_and_changes_nothing(api: Api, terminal: Terminal) -> None:
    await api.devices("nginx:1.26")
    await api.policy()

    good = await terminal.run("rollouts", "preview", "--policy", "1", "--image", "nginx:1.27", "--json")
    bad = await terminal.run("rollouts", "preview", "--policy", "1", "--image", "redis:7")

    assert (good.code, good.json["totalDevices"], good.json["batches"]) == (0, 1, [{"number": 1, "devices": 1}])
    assert (bad.code, "would be refused" in bad.out) == (2, True)
    assert await api.rollout() is None


async def test_a_decision_is_made_on_what_somebody_has_seen(api: Api, terminal: Terminal) -> None:
    await _under_way(api, updateStrategy="STAGED", approvals=1)
    await eventually(api.status, "PENDING")
    seen = (await terminal.run("rollouts", "show", "1", "--json")).json["checksum"]

    unseen = await terminal.run("rollouts", "approve", "1")
    other = await terminal.run("rollouts", "approve", "1", "--checksum", "0" * 64)
    explained = await terminal.run("rollouts", "explain", "1")
    approved = await terminal.run("rollouts", "approve", "1", "--checksum", seen, "--remark", "read")

    assert (unseen.code, "needs --checksum, or --yes" in unseen.err) == (2, True)
    assert other.code == 2
    assert "approv" in explained.out
    assert approved.code == 0
    await eventually(api.status, "IN_PROGRESS")


async def test_lists_are_tables_for_people_and_documents_for_programs(api: Api, terminal: Terminal) -> None:
    await _under_way(api, updateStrategy="MANUAL")
    await eventually(api.status, "PENDING")

    table = await terminal.run("rollouts", "list", "--status", "pending", "--policy", "1")
    document = await terminal.run("rollouts", "list", "--json")
    none = await terminal.run("rollouts", "list", "--status", "completed", "--json")
    devices = await terminal.run("devices", "list", "--runs", "nginx:1.26", "--online", "--json")

    head, row = table.out.splitlines()
    assert head.split()[:4] == ["NUMBER", "STATUS", "IMAGE", "POLICY"]
    assert row.split()[:4] == ["1", "pending", "nginx:1.27", "1"]
    assert [(rollout["number"], rollout["image"], rollout["totalDevices"]) for rollout in document.json] == [
        (1, {"reference": "nginx:1.27"}, 1)
    ]
    assert (none.code, none.json) == (0, [])
    assert devices.json == []


async def test_a_list_goes_on_over_its_pages_up_to_the_limit(api: Api, terminal: Terminal) -> None:
    for number in range(101):
        await api.policy(imagePattern=f"app-{number}")

    some = await terminal.run("policies", "list", "--json")
    every = await terminal.run("policies", "list", "--json", "--limit", "1000")

    assert (len(some.json), some.err) == (50, "there are more than 50: --limit shows more of them\n")
    assert (len(every.json), every.err) == (101, "")


async def test_a_device_is_shown_and_explained(api: Api, terminal: Terminal) -> None:
    await _under_way(api)

    shown = await terminal.run("device", "show", UUID, "--json")
    explained = await terminal.run("devices", "explain", UUID)
    missing = await terminal.run("devices", "show", nth(9))

    assert (shown.json["uuid"], shown.json["inSync"], shown.json["differences"][0]["wanted"]) == (UUID, False, "nginx:1.27")
    assert "rollout 1" in explained.out
    assert (missing.code, missing.err) == (2, f"there is no device {nth(9)}\n")


async def test_whoever_calls_a_device_by_its_name_is_told_how_to_find_its_uuid(api: Api, terminal: Terminal) -> None:
    await api.devices("nginx:1.26")

    named = await terminal.run("device", "show", "press 0000")
    search = named.err.split("`")[1]
    found = await terminal.run(*shlex.split(search)[1:], "--json")

    assert (named.code, named.err) == (2, f"there is no device press 0000: a uuid is wanted, and `{search}` finds it\n")
    assert [device["uuid"] for device in found.json] == [UUID]


async def test_times_are_shown_in_utc_and_say_so(api: Api, terminal: Terminal) -> None:
    await api.policy()

    shown = await terminal.run("policies", "show", "1")
    document = (await terminal.run("policies", "show", "1", "--json")).json

    assert f"{document['createdAt'][:19].replace('T', ' ')} UTC\n" in shown.out


async def test_a_name_cannot_move_the_cursor_of_whoever_lists_it(api: Api, terminal: Terminal) -> None:
    await _under_way(api)

    await terminal.run("rollouts", "pause", "1", "--reason", "\x1b[2J[bold]gone[/bold]")
    listed = await terminal.run("rollouts", "list")

    assert "\x1b" not in listed.out
    assert "�[2J[bold]gone[/bold]" in listed.out


@pytest.mark.parametrize("line", re.findall(r"^rollwave [^|\n]*", PAGE, flags=re.MULTILINE))
def test_the_commands_on_the_page_exist(line: str) -> None:
    # What cannot be parsed is refused before help is given.
    asked = CliRunner().invoke(rollwave, [*shlex.split(line)[1:], "--help"])

    assert asked.exit_code == 0, asked.output


def test_the_page_has_every_command() -> None:
    groups = {name: group for name, group in rollwave.commands.items() if isinstance(group, click.Group)}
    every = {f"rollwave {name} {command}" for name, group in groups.items() for command in group.commands}

    assert every - set(re.findall(r"^rollwave \w+ \w+", PAGE, flags=re.MULTILINE)) == set()


def test_the_page_has_every_exit_code() -> None:
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, flags=re.MULTILINE)} == set(End)


@pytest.mark.parametrize("snippet", re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL), ids=["GitHub", "GitLab"])
async def test_the_snippets_for_ci_create_a_rollout_and_wait_for_it(api: Api, terminal: Terminal, snippet: str) -> None:
    [command] = [step for step in _steps(yaml.safe_load(snippet)) if step.startswith("rollwave ")]
    [device] = await api.devices("ghcr.io/acme/app:1.4.1")
    for number in range(1, 4):
        await api.policy(imagePattern="ghcr.io/acme/*", priority=number)
    ci = {
        "GITHUB_REPOSITORY": "acme/app", "GITHUB_REF_NAME": "1.4.2", "GITHUB_RUN_ID": "17",
        "CI_REGISTRY_IMAGE": "ghcr.io/acme/app", "CI_COMMIT_TAG": "1.4.2", "CI_PIPELINE_ID": "17",
    }  # fmt: skip

    async with terminal.shell(command, ci) as job:
        await job.says("in progress")
        assert await device.obey() == "ghcr.io/acme/app:1.4.2"
        ended = await job.end()

    assert (ended.code, ended.out) == (0, "rollout 1 of ghcr.io/acme/app:1.4.2 is completed\n")


def _steps(workflow: dict[str, Any]) -> list[str]:
    """The lines of shell in a workflow of GitHub or of GitLab."""
    if "jobs" in workflow:
        return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    return [line for job in workflow.values() for line in job["script"]]
