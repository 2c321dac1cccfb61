"""Answers with JSON in them that senders or handlers wrote: passed on as it is stored, whatever it says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Json(JSONResponse):
    """A JSON answer that may have stored JSON in it (``stored_json``), which no other encoder would leave as it is."""

    def render(self, content: Any) -> bytes:
        """The content, models included, as JSON."""
        return msgspec.json.encode(content, enc_hook=_plain)


class Message(BaseModel):
    """What was done."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"message": "Workflow test-123 was deleted"}]})

    message: str


def stored_json(text: bytes | None) -> msgspec.Raw | None:
    """A stored JSON text as a part of an answer, byte for byte; None for none, and for what is no JSON.

    So numbers beyond any type, lone surrogates, the order of keys and repeated keys reach the reader as they came.
    """
    if text is None or not _is_json(text):
        return None
    return msgspec.Raw(text.removeprefix(_BYTE_ORDER_MARK).strip())


def written_json(document: Any) -> msgspec.Raw:
    """A document as a part of an answer; text that UTF-8 cannot say is escaped."""
    try:
        return msgspec.Raw(msgspec.json.encode(document))
    except UnicodeEncodeError:
        finite = json.loads(json.dumps(document), parse_constant=lambda _: None)
        return msgspec.Raw(json.dumps(finite).encode())


def readable(text: str) -> str:
    """The text as UTF-8 can say it: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode()


def error_message(cause: bytes) -> str:
    """The sentence in a stored cause, ``{"code", "message", …}``."""
    try:
        return readable(str(json.loads(cause)["message"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return "The cause cannot be read."


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except RecursionError:
        return False
    except (
        ValueError
    ):  # all that msgspec raises, and UnicodeDecodeError: it may be JSON that msgspec does not read
        return _is_unusual_json(text)
    return True


def _is_unusual_json(text: bytes) -> bool:
    try:
        json.loads(text.decode("utf-8-sig"), parse_constant=_refuse, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(name)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.__dict__
    raise TypeError(f"a value of type {type(value).__name__} has no form in JSON")
