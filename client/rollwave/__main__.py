"""rollwave: the command. Whatever happens, it ends with a sentence and a number that means something."""

import sys

import click
from pydantic import ValidationError

from rollwave.commands import rollwave
from rollwave.ends import End
from rollwave.errors import RollwaveError, Unreachable
from rollwave.output import complain


def main() -> int:
    """Run what was asked for."""
    try:
        return int(rollwave.main(prog_name="rollwave", standalone_mode=False) or End.GOOD)
    except click.ClickException as wrong:
        wrong.show()
        return End.REFUSED
    except click.Abort:
        return End.INTERRUPTED
    except Exception as error:
        end, sentence = _told(error)
        complain(sentence)
        return end


def _told(error: Exception) -> tuple[End, str]:
    match error:
        case Unreachable():
            return End.UNREACHABLE, str(error)
        case RollwaveError():
            return End.REFUSED, str(error)
        case ValidationError():
            return End.UNREACHABLE, f"the server says what this rollwave does not understand; is there a newer one? ({error.title})"
    return End.MISTAKE, f"this is a mistake in rollwave itself: {type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
