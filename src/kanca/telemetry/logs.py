"""Logs: one wide structured line for each thing that happened, as text on a terminal and as JSON elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

from kanca.telemetry.lines import JsonLines, at_level, lines, through_structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(
    level: str, form: str, process: str, stream: TextIO = sys.stderr, requests: str = "off"
) -> None:
    """Send every log line of this process to ``stream``.

    ``level`` is a key of ``LEVELS``; ``form`` is ``json``, ``text`` or ``auto`` (text when the stream is a terminal);
    ``process`` stands on every line (``gateway-1``, ``worker-1``). ``requests``: of which requests and attempts there
    are lines, ``all``, ``errors`` or ``off``.
    """
    as_text = form == "text" or (form == "auto" and stream.isatty())
    renderer: Any = structlog.processors.JSONRenderer(default=str)
    if as_text:
        # The prettier tracebacks print the values of local variables, secrets among them.
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if not as_text:
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    wanted = at_level(requests, LEVELS[level])
    if as_text:
        lines.configure(wanted, through_structlog)
    else:
        written = JsonLines(process, lambda text: _write_whole(stream, text))
        lines.configure(wanted, written, written.flush)
    # Libraries log through the standard library; their lines take the same road.
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=max(LEVELS[level], logging.WARNING), force=True)


def _write_whole(stream: TextIO, text: bytes) -> None:
    stream.write(text.decode())
    stream.flush()
