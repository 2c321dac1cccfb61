"""``python -m fuzz [target …]``: fuzz the named targets, or all, each for FUZZ_SECONDS (30)."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.acceptance.conformity import run_schemathesis
from tests.acceptance.processes import KancaProcess

TARGETS = ("headers", "bodies", "specs", "accept")
SERVER = "openapi"
"""Not a target of Atheris: the running server, asked by Schemathesis."""
LONGEST_INPUT_S = 5
LARGEST_INPUT_BYTES = 20_000
MOST_MEMORY_MB = 1024
STARTS_WITHIN_S = 120
SHOWN_BYTES = 4000


def main() -> None:
    """Run them one after the other; exit with 1 when any found something."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*TARGETS, SERVER, []], help="which; all when none is named"
    )
    names = parser.parse_args().names or [*TARGETS, SERVER]
    seconds = int(os.environ.get("FUZZ_SECONDS") or 30)
    failed = [name for name in names if not (ask_server if name == SERVER else fuzz)(name, seconds)]
    if failed:
        raise SystemExit(f"something was found by: {', '.join(failed)}")


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz one target; whether nothing was found. What was found is printed with its input."""
    with tempfile.TemporaryDirectory(prefix=f"kanca-fuzz-{name}-") as folder:
        options = [
            f"-max_total_time={seconds}",
            f"-timeout={LONGEST_INPUT_S}",
            f"-max_len={LARGEST_INPUT_BYTES}",
            f"-rss_limit_mb={MOST_MEMORY_MB}",
            "-print_final_stats=1",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "fuzz.one", name, folder, *options],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + STARTS_WITHIN_S,
            check=False,
        )
        print(f"{name}: {_inputs_of(done.stderr)} inputs in {seconds} s", flush=True)
        if done.returncode == 0:
            return True
        print(done.stdout[-SHOWN_BYTES:], done.stderr[-SHOWN_BYTES:])
        for path in sorted(Path(folder).iterdir()):
            if path.is_file() and path.suffix != ".txt":
                print(f"{path.name}: {path.read_bytes()[:SHOWN_BYTES]!r}")
    return False


def ask_server(name: str, seconds: int) -> bool:
    """Let Schemathesis ask a server for about so long; whether all was as documented."""
    with tempfile.TemporaryDirectory(prefix=f"kanca-fuzz-{name}-") as folder:
        directory = Path(folder)
        environ = {"KANCA_WRONG_KEYS_PER_MINUTE": "0"}
        with KancaProcess(f"sqlite:///{directory / 'kanca.db'}", directory, environ=environ) as server:
            options = ("--max-time", str(seconds))
            asked = run_schemathesis(server, directory, *options, limit_s=seconds + STARTS_WITHIN_S)
            done = asyncio.run(asked)
    print(f"{name}: {'nothing' if done.returncode == 0 else 'something'} found in {seconds} s", flush=True)
    if done.returncode:
        print(done.stdout, done.stderr)
    return done.returncode == 0


def _inputs_of(said: str) -> str:
    for line in said.splitlines():
        if "number_of_executed_units" in line:
            return line.split()[-1]
    return "an unknown number of"


if __name__ == "__main__":
    main()
