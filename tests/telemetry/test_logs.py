from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from secrets import token_hex

import pytest
import structlog

from kanca.telemetry.logs import configure_logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def fail(secret: str) -> None:
    raise RuntimeError(f"{len(secret)} characters are wrong")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_does_not_tell_the_values_of_variables(form: str) -> None:
    stream = io.StringIO()
    secret = token_hex(8)
    configure_logs("info", form, "gateway-1", stream)

    try:
        fail(secret)
    except RuntimeError as error:
        structlog.get_logger(__name__).error("internal_error", exc_info=error)

    assert "16 characters are wrong" in stream.getvalue()
    assert secret not in stream.getvalue()
