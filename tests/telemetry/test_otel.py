"""OpenTelemetry is what its standard variables say, and where they say nothing it is not even loaded."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from structlog.testing import capture_logs

from kanca.telemetry import otel
from kanca.telemetry.otel import configure_tracing, is_wanted

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
_WORK = """
import sys
from kanca.domain.trace import Trace
from kanca.telemetry import tracing
from kanca.telemetry.otel import configure_tracing
configure_tracing("worker-1")
with tracing.span("work", lambda: Trace("a" * 32, "b" * 16), lambda: "x", "consumer", lambda: {"kanca.work": "w"}):
    pass
tracing.close()
print(sum(name.startswith("opentelemetry.sdk") for name in sys.modules))
"""


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "shop"}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_standard_variables_say_whether_spans_are_wanted(environ: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environ) == wanted


def test_an_exporter_that_is_not_there_is_said_and_stops_nothing() -> None:
    with capture_logs() as logs:
        configure_tracing("gateway-1", {"OTEL_TRACES_EXPORTER": "nobody"})

    assert [(line["event"], line["exporter"]) for line in logs] == [("tracing_exporter_unknown", "nobody")]


def test_without_the_extra_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otel, "_is_installed", lambda: False)

    with capture_logs() as logs:
        configure_tracing("gateway-1", ENDPOINT)

    assert [line["event"] for line in logs] == ["tracing_not_installed"]


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A collector that speaks OTLP over HTTP: where it is, and what it got."""
    got: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(
                ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


def run(environ: dict[str, str]) -> int:
    """Work in a process with these variables; gives how many modules of the SDK it loaded."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", _WORK]
    return int(subprocess.run(command, env=plain | environ, check=True, capture_output=True).stdout)


def test_spans_come_to_the_collector_with_what_the_variables_say_of_them(
    collector: tuple[str, list[ExportTraceServiceRequest]],
) -> None:
    address, got = collector

    run({"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test"})

    (sent,) = got[0].resource_spans
    about = {each.key: each.value.string_value for each in sent.resource.attributes}
    (span,) = sent.scope_spans[0].spans
    assert (about["service.name"], about["deployment.environment"]) == ("kanca", "test")
    assert about["service.instance.id"].endswith("/worker-1")
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("work", "a" * 32, "b" * 16)


def test_where_nobody_wants_spans_nothing_is_loaded() -> None:
    assert run({}) == 0
