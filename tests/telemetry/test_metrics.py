from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from kanca.telemetry.exposition import MULTIPROC_DIR, exposition, forget_process
from kanca.telemetry.gathering import Gathered
from kanca.telemetry.metrics import ALL, PROCESS_NAME

_COUNT = """
from kanca.telemetry.metrics import ATTEMPTS, DELIVERIES_IN_FLIGHT, DELIVERY_DURATION, note_start
note_start("worker")
ATTEMPTS.labels("call", "succeeded").inc(2)
DELIVERIES_IN_FLIGHT.set(3)
DELIVERY_DURATION.labels("failed").observe(0.2)
"""
_DIE = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def run(name: str, directory: Path, *lines: str) -> int:
    """Run a process as the supervisor does, to its end."""
    environ = {**os.environ, PROCESS_NAME: name, MULTIPROC_DIR: str(directory)}
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], env=environ, check=False).returncode


def seen(directory: Path) -> dict[tuple[str, Sequence[str]], float]:
    """What is served, by name and label values."""
    text = exposition(environ={MULTIPROC_DIR: str(directory)}).decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_processes_count_is_added_up(tmp_path: Path) -> None:
    run("worker-1", tmp_path, _COUNT)
    run("worker-2", tmp_path, _COUNT)

    found = seen(tmp_path)

    assert found["webhook_attempts_total", ("call", "succeeded")] == 4
    assert found["webhook_deliveries_in_flight", ()] == 6
    assert found["webhook_processes", ("worker",)] == 2
    assert found["webhook_delivery_duration_seconds_count", ("failed",)] == 2


def test_who_takes_the_place_of_a_dead_process_goes_on_counting_and_leaves_no_more_files(
    tmp_path: Path,
) -> None:
    assert run("worker-1", tmp_path, _COUNT, _DIE) == -signal.SIGKILL
    files = set(tmp_path.iterdir())
    forget_process("worker-1", str(tmp_path))
    meanwhile = seen(tmp_path)
    for _ in range(2):
        run("worker-1", tmp_path, _COUNT, _DIE)
        forget_process("worker-1", str(tmp_path))
    run("worker-1", tmp_path, _COUNT)
    afterwards = seen(tmp_path)

    assert meanwhile["webhook_attempts_total", ("call", "succeeded")] == 2
    assert ("webhook_deliveries_in_flight", ()) not in meanwhile
    assert afterwards["webhook_attempts_total", ("call", "succeeded")] == 8
    assert afterwards["webhook_deliveries_in_flight", ()] == 3
    assert afterwards["webhook_processes", ("worker",)] == 1
    assert afterwards["webhook_process_starts_total", ("worker",)] == 4
    assert set(tmp_path.iterdir()) == files


def test_what_a_process_starts_or_forks_has_files_of_its_own(tmp_path: Path) -> None:
    started = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    forked = "import os; child = os.fork(); ATTEMPTS.labels('call', 'succeeded').inc(); child and os.waitpid(child, 0)"
    environ = {**os.environ, PROCESS_NAME: "worker-1", MULTIPROC_DIR: str(tmp_path)}
    subprocess.run([sys.executable, "-c", _COUNT + started, _COUNT], env=environ, check=True)
    run("worker-2", tmp_path, _COUNT, forked)

    counters = [path.name for path in tmp_path.glob("counter_*.db")]

    assert len(counters) == 4
    assert {"counter_worker-1.db", "counter_worker-2.db"} < set(counters)
    assert seen(tmp_path)["webhook_attempts_total", ("call", "succeeded")] == 8


def test_another_worker_is_not_forgotten_with_one_that_died(tmp_path: Path) -> None:
    run("worker-1", tmp_path, _COUNT)
    run("worker-11", tmp_path, _COUNT)

    forget_process("worker-1", str(tmp_path))

    assert seen(tmp_path)["webhook_processes", ("worker",)] == 1


def test_the_version_that_runs_is_said() -> None:
    families = {family.name: family for family in text_string_to_metric_families(exposition().decode())}

    (sample,) = families["webhook_build_info"].samples

    assert sample.value == 1
    assert sample.labels.keys() == {"version", "python"}


def test_every_metric_says_what_it_is_and_has_a_name_that_others_expect() -> None:
    for metric in ALL:
        (family,) = metric.describe()
        assert family.documentation
        assert family.name.startswith("webhook_")
        assert family.type != "histogram" or family.name.endswith(("_seconds", "_size"))
    assert len({family.name for metric in ALL for family in metric.describe()}) == len(ALL)


def test_what_is_gathered_is_as_if_it_had_been_observed() -> None:
    observed, gathered = CollectorRegistry(), CollectorRegistry()
    one = Histogram("a", "a", ["b"], buckets=(0.1, 1, 5), registry=observed)
    other = Histogram("a", "a", ["b"], buckets=(0.1, 1, 5), registry=gathered)
    together = Gathered(other.labels("c"))
    for amount in (0, 0.1, 0.11, 1, 4.9, 5, 6, 1000):
        one.labels("c").observe(amount)
        together.observe(amount)
    together.flush()
    together.flush()

    names = ("a_bucket", "a_sum", "a_count")
    for le in ("0.1", "1.0", "5.0", "+Inf"):
        labels = {"b": "c", "le": le}
        assert observed.get_sample_value(names[0], labels) == gathered.get_sample_value(names[0], labels)
    for name in names[1:]:
        assert observed.get_sample_value(name, {"b": "c"}) == gathered.get_sample_value(name, {"b": "c"})
