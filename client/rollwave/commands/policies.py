"""rollwave policies: which images go to whom, and how."""

import json
from collections.abc import Awaitable, Callable
from typing import IO, Any

import click
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from rollwave.api.enums import UpdateStrategy
from rollwave.api.fragments import PolicyLine
from rollwave.api.input_types import (
    CreatePolicyInput,
    DeletePolicyInput,
    DisablePolicyInput,
    EnablePolicyInput,
    PolicyFilterInput,
    UnblockReleaseInput,
)
from rollwave.commands import options
from rollwave.commands.asking import asking
from rollwave.commands.consent import confirm, expect_somebody
from rollwave.connection import Rollwave
from rollwave.finding import found, number_or_id, policy_by
from rollwave.outcomes import Refusal, Settled, settled, unblocked
from rollwave.output import document, say, table
from rollwave.paging import collected
from rollwave.views import show_policy
from rollwave.words import printable


@click.group()
def policies() -> None:
    """See, create, enable, disable and delete policies, and unblock releases. NUMBER is as in “policy 3”."""


@policies.command("list")
@click.option("--fleet", help="Only for this fleet.")
@click.option("--search", metavar="TEXT", help="Only with this in the pattern.")
@click.option("--enabled/--disabled", default=None, help="Only those.")
@options.limit
@options.as_json
@asking
async def every(rollwave: Rollwave, /, limit: int, as_json: bool, **wanted: Any) -> None:
    """List policies."""
    having = PolicyFilterInput(**wanted)
    rows = await collected(lambda first, after: rollwave.policies(first=first, after=after, filter_=having), limit)
    document(rows) if as_json else table([_row(policy) for policy in rows])


@policies.command()
@click.argument("policy", metavar="NUMBER|ID")
@options.as_json
@asking
async def show(rollwave: Rollwave, policy: str, as_json: bool) -> None:
    """Show one policy."""
    one = found(await rollwave.policy(**number_or_id("policy", policy)), "policy", policy)
    document(one) if as_json else show_policy(one)


@policies.command()
@click.option(
    "--file", type=click.File(), help="JSON with the fields of the API's CreatePolicyInput; - is stdin. Options come before what it says."
)
@click.option("--image-pattern", metavar="GLOB", help="Such as ghcr.io/acme/*:1.*")
@click.option(
    "--update-strategy",
    type=click.Choice(UpdateStrategy, case_sensitive=False),
    help="Everybody at once, in batches, once an operator starts it, or by the clock.",
)
@click.option("--fleet", help="Only devices of this fleet.")
@click.option("--devices", metavar="SELECTOR", help="Only devices with such labels: site=berlin, tier in (edge, lab), !frozen")
@click.option("--staged-batches", type=int, help="How many batches; 3 is 10 %, 50 %, 100 %.")
@click.option("--batch-delay-minutes", type=float, help="From a batch having proved itself until the next one opens.")
@click.option("--soak-minutes", type=float, help="How long a device must run the image, healthy.")
@click.option("--max-failure-rate", type=float, help="Above it the rollout stops; 0 to 1.")
@click.option("--approvals", type=int, help="How many operators must approve a rollout.")
@click.option("--priority", type=int, help="Of two policies for a device the one with the higher governs it.")
@click.option(
    "--health-check/--no-health-check", "health_check_enabled", default=None, help="Whether a device has to prove itself for the soak time."
)
@click.option(
    "--auto-rollback/--no-auto-rollback",
    "auto_rollback_enabled",
    default=None,
    help="Whether too many failures roll back; otherwise they pause.",
)
@click.option("--enabled/--disabled", default=None, help="Whether pushes are acted on.")
@options.idempotency_key
@options.as_json
@asking
async def create(rollwave: Rollwave, /, file: IO[str] | None, as_json: bool, **fields: Any) -> None:
    """Create a policy. What is not said has the API's defaults."""
    policy = settled(await rollwave.create_policy(_wanted(file, fields)))
    _tell(policy, "is created", as_json)


def _change(name: str, explained: str, done: str, request: Callable[[Rollwave, str], Awaitable[Settled | Refusal]]) -> click.Command:
    @click.command(name, help=explained)
    @click.argument("policy", metavar="NUMBER|ID")
    @options.as_json
    @asking
    async def change(rollwave: Rollwave, policy: str, as_json: bool) -> None:
        _tell(settled(await request(rollwave, (await policy_by(rollwave, policy)).id)), done, as_json)

    return change


for command in (
    _change("enable", "Act on pushes again.", "is enabled", lambda api, key: api.enable_policy(EnablePolicyInput(id=key))),
    _change("disable", "Act on no more pushes; rollouts under way go on.", "is disabled",
            lambda api, key: api.disable_policy(DisablePolicyInput(id=key))),
):  # fmt: skip
    policies.add_command(command)


@policies.command()
@click.argument("policy", metavar="NUMBER|ID")
@click.option("--yes", is_flag=True, help="Without being asked.")
@options.as_json
@asking
async def delete(rollwave: Rollwave, policy: str, yes: bool, as_json: bool) -> None:
    """Delete a policy; rollouts under way go on."""
    one = await policy_by(rollwave, policy)
    if not yes:
        expect_somebody("delete needs --yes")
        confirm(printable(f"delete policy {one.number} for {one.image_pattern}?"))
    _tell(settled(await rollwave.delete_policy(DeletePolicyInput(id=one.id))), "is deleted", as_json)


@policies.command()
@click.argument("policy", metavar="NUMBER|ID")
@click.option("--image", metavar="REFERENCE", required=True, help="The release, by its tag or its digest.")
@options.as_json
@asking
async def unblock(rollwave: Rollwave, policy: str, image: str, as_json: bool) -> None:
    """Let a release that was rolled back be rolled out again."""
    one = await policy_by(rollwave, policy)
    done = unblocked(await rollwave.unblock_release(UnblockReleaseInput(id=one.id, image=image)))
    became = "is unblocked" if done.was_blocked else "was not blocked"
    document(done) if as_json else say(f"{image} {became} under policy {one.number}")


def _wanted(file: IO[str] | None, fields: dict[str, Any]) -> CreatePolicyInput:
    """What is in the file, and over it what the options say."""
    given = {to_camel(name): value for name, value in fields.items() if value is not None}
    try:
        # A field that is misspelt would otherwise be left out, and nobody would know.
        return CreatePolicyInput.model_validate(_read(file) | given, extra="forbid", by_alias=True, by_name=False)
    except ValidationError as error:
        raise click.UsageError("; ".join(map(_sentence, error.errors()))) from error


def _sentence(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"]))
    match error["type"]:
        case "extra_forbidden":
            return f"a policy has no field {field}"
        case "missing":
            return f"a policy needs the field {field}"
    return f"{field}: {error['msg']}"


def _read(file: IO[str] | None) -> dict[str, Any]:
    try:
        content = {} if file is None else json.load(file)
    except ValueError as error:
        raise click.UsageError(f"--file is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise click.UsageError("--file must be an object")
    return content


def _tell(policy: PolicyLine, done: str, as_json: bool) -> None:
    document(policy) if as_json else say(f"policy {policy.number} for {policy.image_pattern} {done}")


def _row(policy: PolicyLine) -> dict[str, object]:
    return {
        "NUMBER": policy.number,
        "ENABLED": policy.enabled,
        "PATTERN": policy.image_pattern,
        "STRATEGY": policy.update_strategy,
        "FLEET": policy.fleet and policy.fleet.name,
        "DEVICES": policy.devices,
        "PRIORITY": policy.priority,
    }
