"""python -m tools.demo: a server, a fleet of simulated devices and two rollouts to watch, one good and one bad."""

import argparse
import sys

from tools.ending import Ending


def main() -> int:
    """Run the demo and return its exit code."""
    ending = Ending()
    ending.listen()
    parser = argparse.ArgumentParser(
        prog="python -m tools.demo", description="Watch Rollwave roll out a good image, and take back a bad one."
    )
    parser.add_argument("--devices", type=_several, default=300, help="how many devices to simulate (default: 300)")
    parser.add_argument("--port", type=int, help="where the server listens (default: ROLLWAVE_PORT, or 8000)")
    parser.add_argument("--once", action="store_true", help="leave after both rollouts; exit 1 unless they ended as they should")
    given = parser.parse_args()
    try:
        # Imported only now: it takes a second, in which Ctrl-C should be as quiet as later.
        from tools.story import Asked, perform

        return perform(Asked(given.devices, given.port, given.once), ending)
    except KeyboardInterrupt:
        return 0


def _several(text: str) -> int:
    number = int(text)
    if not 20 <= number <= 2000:
        raise argparse.ArgumentTypeError("20 to 2000 devices make a good picture")
    return number


if __name__ == "__main__":
    sys.exit(main())
