from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from kanca.providers import provider_names

ROOT = Path(__file__).parents[2]
LIMIT_S = 60


def test_every_provider_has_a_share_or_a_reason() -> None:
    command = [sys.executable, "-m", "bench", "verify", "--seconds", "0.1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[0])
    assert sorted([*said["providers"], *said["not_signed"]]) == sorted(provider_names())
    assert all(of["verify_us"] > 0 and of["share_percent"] > 0 for of in said["providers"].values())
