"""Ask Prometheus' own ``promtool`` whether it takes the alerts, the sample, and an answer of ``/metrics``.

``python -m scripts.promtool [METRICS…]``: of Debian's package ``prometheus``, unpacked into ``build``, unless it is on
the path. Files named are answers of ``/metrics``; without any, what this process would answer is checked. Not a part of
the tests, for the package is large: those use the parser of Prometheus' Python client.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from kanca.telemetry.exposition import exposition
from tests.servers.debian import unpacked

ROOT = Path(__file__).parents[1]
OPS = ROOT / "ops" / "prometheus"


def promtool() -> Path:
    """Where the program is. Raises RuntimeError when it cannot be had."""
    found = shutil.which("promtool")
    return Path(found) if found else unpacked("prometheus") / "usr" / "bin" / "promtool"


def main(answers: list[str]) -> int:
    """Check everything; gives 1 when something is not taken."""
    program = str(promtool())
    failed = _failed([program, "check", "rules", str(OPS / "alerts.yaml")])
    failed |= _failed([program, "check", "config", "--syntax-only", str(OPS / "prometheus.yaml")])
    for text in [Path(answer).read_bytes() for answer in answers] or [exposition()]:
        failed |= _failed([program, "check", "metrics"], text)
    return int(failed)


def _failed(command: list[str], given: bytes = b"") -> bool:
    print("$", " ".join(command), flush=True)
    return subprocess.run(command, input=given, check=False).returncode != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
