"""``python -m bench [name …]``: run the named benchmarks, or all."""

from __future__ import annotations

import argparse

from bench import (
    capacity,
    deliver,
    end_to_end,
    history,
    ingest,
    isolation,
    scaling,
    tail,
    verify,
    waits,
    workflows,
)

BENCHMARKS = {
    "ingest": ingest.main,
    "end_to_end": end_to_end.main,
    "history": history.main,
    "verify": verify.main,
    "workflows": workflows.main,
    "waits": waits.main,
    "deliver": deliver.main,
    "isolation": isolation.main,
    "capacity": capacity.main,
    "scaling": scaling.main,
    "tail": tail.main,
}


def main() -> None:
    """Run what the command line asks for, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*BENCHMARKS, []], help="which ones; all when none is named"
    )
    parser.add_argument("--seconds", type=float, default=6, help="how long each load lasts (at most 60)")
    arguments = parser.parse_args()
    for name in arguments.names or BENCHMARKS:
        BENCHMARKS[name](min(arguments.seconds, 60))


if __name__ == "__main__":
    main()
