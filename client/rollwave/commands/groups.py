"""Commands with commands in them."""

import click

PLURALS = {"rollout": "rollouts", "policy": "policies", "device": "devices"}


class EitherWay(click.Group):
    """Takes `rollwave rollout` for `rollwave rollouts`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, PLURALS.get(cmd_name, cmd_name))
