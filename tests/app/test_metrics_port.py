from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kanca.app.metrics_port import metrics_served
from kanca.errors import InvalidSetting


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def yes() -> bool:
    return True


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_the_port_answers_probes_as_gateways_do(tmp_path: Path, path: str) -> None:
    port, states = free_port(), {"/health/live": True, "/health/ready": True}
    url = f"http://127.0.0.1:{port}{path}"

    with metrics_served(
        "127.0.0.1", port, str(tmp_path), lambda: states["/health/live"], lambda: states["/health/ready"]
    ):
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert (answer.status, json.load(answer)) == (200, {"status": "ok"})
        states[path] = False
        with pytest.raises(HTTPError) as refused, urllib.request.urlopen(url, timeout=30):
            pass
        assert (refused.value.code, json.load(refused.value)) == (503, {"status": "unavailable"})


def test_the_port_serves_the_metrics_of_the_machine_while_it_is_open(tmp_path: Path) -> None:
    port = free_port()

    with (
        metrics_served("127.0.0.1", port, str(tmp_path), yes, yes),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer,
    ):
        names = {family.name for family in text_string_to_metric_families(answer.read().decode())}

    assert "webhook_build_info" in names
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
        pass


def test_without_a_port_nothing_is_served(tmp_path: Path) -> None:
    with metrics_served("127.0.0.1", None, str(tmp_path), yes, yes):
        pass


def test_a_port_that_is_taken_is_refused_by_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(InvalidSetting, match=f"KANCA_METRICS_PORT: cannot listen on 127.0.0.1:{port}"),
            metrics_served("127.0.0.1", port, str(tmp_path), yes, yes),
        ):
            pass
