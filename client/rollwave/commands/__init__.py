"""rollwave: what it can be told."""

import click

from rollwave.commands.devices import devices
from rollwave.commands.groups import EitherWay
from rollwave.commands.login import login, logout
from rollwave.commands.policies import policies
from rollwave.commands.rollouts import rollouts
from rollwave.version import VERSION


@click.group(cls=EitherWay, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(VERSION)
def rollwave() -> None:
    """Roll container images out to a fleet of devices, and watch them go.

    `rollwave login` once; in CI set ROLLWAVE_URL and ROLLWAVE_TOKEN instead.
    Every command that tells something has --json, and its own --help.

    \b
    Ends with 0: done, or the rollout is completed
              1: the rollout was rolled back, or was on its way back when the time was over
              2: wrong usage, or the server refused
              3: the rollout was cancelled, or a newer one took over
              4: the time was over; the rollout goes on
              5: the server cannot be reached
    """


for command in (login, logout, policies, rollouts, devices):
    rollwave.add_command(command)
