"""The tracer of OpenTelemetry (the extra ``otel``), configured by its standard variables ``OTEL_…``."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING, Any

import structlog

from kanca.domain.trace import Trace
from kanca.telemetry import tracing
from kanca.telemetry.tracing import Attributes, Kind

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanContext

log = structlog.get_logger(__name__)

_WHERE_TO = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_OTLP = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the variables ask for traces: an exporter is named, or where to send them."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER")
    return (
        exporter not in {"none", ""} if exporter is not None else any(environ.get(name) for name in _WHERE_TO)
    )


def configure_tracing(process: str, environ: Mapping[str, str] = os.environ) -> None:
    """Record spans in this process (``gateway-1``) if the variables ask for it; else load nothing."""
    if not is_wanted(environ):
        return
    if not _is_installed():
        log.warning("tracing_not_installed", hint="pip install 'kanca[otel]'")
        return
    provider = _provider(process, environ)
    if provider is not None:
        from opentelemetry import trace  # noqa: PLC0415 - only where it is wanted

        trace.set_tracer_provider(provider)  # handlers' own spans go the same way
        tracing.use(OtelTracer(provider))


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.sdk") is not None
    except ModuleNotFoundError:
        return False  # not even what it is a part of


def use_host_tracing() -> None:
    """Record spans with what the app that Kanca is mounted in has set up, if it has."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return
    from opentelemetry import trace  # noqa: PLC0415 - somebody has loaded it already
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above

    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        tracing.use(OtelTracer(provider, is_own=False))


def where_we_are() -> Trace | None:
    """Where the code that asks stands in a trace of OpenTelemetry, whoever began it; None where in none."""
    if "opentelemetry.trace" not in sys.modules:
        return None  # nobody here has begun one
    from opentelemetry import trace  # noqa: PLC0415 - somebody has loaded it already

    place = trace.get_current_span().get_span_context()
    return _trace_of(place) if place.is_valid else None


class OtelTracer:
    """Records spans with OpenTelemetry."""

    def __init__(self, provider: TracerProvider, *, is_own: bool = True) -> None:
        """``is_own``: nobody else uses the provider, so that it is closed with this."""
        from opentelemetry import trace  # noqa: PLC0415 - only where it is wanted

        self._trace = trace
        self._provider = provider
        self._is_own = is_own
        self._tracer = provider.get_tracer("kanca", version("kanca"))

    @contextmanager
    def span(
        self, name: str, parent: Trace | None, kind: Kind, attributes: Attributes
    ) -> Iterator[_Recorded]:
        """See ``Tracer.span``. Within a span of the same trace it is below that one."""
        with self._tracer.start_as_current_span(
            name,
            context=self._context(parent),
            kind=self._trace.SpanKind[kind.upper()],
            attributes=_known(attributes),
            record_exception=False,  # its text may hold what a sender sent
        ) as span:
            yield _Recorded(span, self._trace.Status(self._trace.StatusCode.ERROR))

    def note(self, name: str, began_ns: int, links: Iterable[Trace], attributes: Attributes) -> None:
        """See ``Tracer.note``."""
        from opentelemetry.context import Context  # noqa: PLC0415 - only where it is wanted

        span = self._tracer.start_span(
            name,
            context=Context(),
            links=[self._trace.Link(self._place(link)) for link in links],
            attributes=_known(attributes),
            start_time=began_ns,
        )
        span.end()

    def close(self) -> None:
        """See ``Tracer.close``."""
        if self._is_own:
            self._provider.shutdown()

    def _context(self, parent: Trace | None) -> Context | None:
        if parent is None:
            return None
        if self._trace.get_current_span().get_span_context().trace_id == int(parent.trace_id, 16):
            return None
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(self._place(parent)))

    def _place(self, trace: Trace) -> SpanContext:
        return self._trace.SpanContext(
            int(trace.trace_id, 16),
            int(trace.span_id, 16),
            is_remote=True,
            trace_flags=self._trace.TraceFlags(int(trace.is_sampled)),
            trace_state=self._trace.TraceState.from_header([trace.state]) if trace.state else None,
        )


class _Recorded:
    def __init__(self, span: Span, failure: Any) -> None:
        self._span = span
        self._failure = failure
        self.trace = _trace_of(span.get_span_context())

    def say(self, attributes: Attributes) -> None:
        self._span.set_attributes(_known(attributes))

    def fail(self, code: str) -> None:
        self._span.set_attribute("error.type", code)
        self._span.set_status(self._failure)


def _trace_of(place: SpanContext) -> Trace:
    return Trace(
        f"{place.trace_id:032x}",
        f"{place.span_id:016x}",
        bool(place.trace_flags.sampled),
        place.trace_state.to_header(),
    )


def _known(attributes: Attributes) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in attributes.items() if value is not None}


def _provider(process: str, environ: Mapping[str, str]) -> TracerProvider | None:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - only where it is wanted
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    about = {"service.version": version("kanca"), "service.instance.id": f"{socket.gethostname()}/{process}"}
    if "OTEL_SERVICE_NAME" not in environ and "service.name=" not in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        about["service.name"] = "kanca"
    provider = TracerProvider(resource=Resource.create(about))
    for name in environ.get("OTEL_TRACES_EXPORTER", "otlp").split(","):
        exporter = _exporter(name.strip(), environ)
        if exporter is None:
            return None
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _exporter(name: str, environ: Mapping[str, str]) -> Any:
    """The exporter with a standard name, from whichever package has it; None when none has."""
    protocol = environ.get(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    )
    wanted = _OTLP.get(protocol, name) if name == "otlp" else name
    found = entry_points(group="opentelemetry_traces_exporter", name=wanted)
    if not found:
        log.warning("tracing_exporter_unknown", exporter=name, protocol=protocol)
        return None
    return next(iter(found)).load()()
