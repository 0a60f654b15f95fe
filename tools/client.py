"""Rewrites client/rollwave/api, what the client's generator makes of the schema. Read the diff before committing it."""

import argparse
import shutil
import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path

from tools.snapshots import GRAPHQL, ROOT

# It wants an older graphql-core than Strawberry does, and so lives in an environment of its own.
PIN = "ariadne-codegen==0.19.0"
CLIENT = ROOT / "client"
DOCUMENTS = CLIENT / "documents"
GENERATED = CLIENT / "rollwave" / "api"
FINGERPRINT = CLIENT / "api.sha256"


def fingerprint() -> str:
    """Of everything that decides what is generated: whoever changes any of it generates anew."""
    settings = tomllib.loads((CLIENT / "pyproject.toml").read_text())["tool"]["ariadne-codegen"]
    digest = sha256(f"{PIN} {settings}".encode())
    for source in (GRAPHQL, *sorted(DOCUMENTS.glob("*.graphql"))):
        digest.update(source.read_bytes())
    return digest.hexdigest() + "\n"


def generate(program: Path) -> None:
    """Write the package, as this project formats."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    subprocess.run([program.absolute()], cwd=CLIENT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", GENERATED], cwd=ROOT, check=True)
    FINGERPRINT.write_text(fingerprint())


def main() -> None:
    """Generate with this program, or say which one is to be installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="where ariadne-codegen is; “pin” prints what pip installs it as")
    given = parser.parse_args().program
    print(PIN) if given == "pin" else generate(Path(given))


if __name__ == "__main__":
    main()
