"""The config of an endpoint as people write it: read and checked, and shown."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from kanca.domain.answer import AnswerSpec, read_answer, show_answer
from kanca.domain.config_values import boolean, one_of, read_values, whole
from kanca.domain.endpoint import METHODS, Dedupe, EndpointConfig, InvalidConfig, NodeBehavior
from kanca.domain.patterns import is_pattern

MAX_PAYLOAD_KB = 100 * 1024
MAX_DEDUPE_PATHS = 32
MAX_DEDUPE_PATH_KEYS = 16
MAX_INDEXED_FIELDS = 8
MAX_RESPONSE_WAIT_S = 60

# As browsers write it (WHATWG URL, section 4.7): scheme, host in ASCII, and a port only where it is not the usual one.
_ORIGIN = re.compile(
    r"(?!http://[^/]*:80$)(?!https://[^/]*:443$)"
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
)


def read_config(values: Mapping[str, Any]) -> EndpointConfig:
    """The config in ``values`` (as JSON gives them), with defaults for what is not there.

    Raises InvalidConfig naming every unknown key, wrong type and impossible value.
    """
    config = EndpointConfig(**read_values(values, _READERS))
    _check_dedupe(config)
    return config


def show_config(config: EndpointConfig) -> dict[str, Any]:
    """The config as JSON gives it back."""
    shown = {entry.name: getattr(config, entry.name) for entry in fields(config)}
    shown |= {
        "allowed_event_types": list(config.allowed_event_types),
        "allowed_ips": list(config.allowed_ips),
        "allowed_methods": list(config.allowed_methods),
        "cors_origins": list(config.cors_origins),
        "dedupe_include": list(config.dedupe_include),
        "dedupe_exclude": list(config.dedupe_exclude),
        "indexed_fields": list(config.indexed_fields),
        "redact_fields": list(config.redact_fields),
        "answer": None if config.answer is None else show_answer(config.answer),
    }
    return shown


def stored_config(config: EndpointConfig) -> dict[str, Any]:
    """The config as it is stored: without what is as it is by default.

    So an older version, which refuses a config with a key that it does not know, reads all those that do not use what
    is new (ADR 14).
    """
    return {key: value for key, value in show_config(config).items() if value != _DEFAULTS[key]}


def _seconds(longest: int) -> Any:
    def read(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= longest:
            raise ValueError(f"must be a number of seconds from 0 to {longest}")
        return value

    return read


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
        raise ValueError("must be a list of strings")
    return tuple(value)


def _event_types(value: object) -> tuple[str, ...]:
    types = _strings(value)
    for text in types:
        # Every event is matched against it: several stars would let a sender keep the gateway busy for minutes.
        if "*" in text and not is_pattern(text):
            raise ValueError(f"{text!r} is not an event type, `*`, `order.*` or `*.created`")
    return types


def _networks(value: object) -> tuple[str, ...]:
    networks = _strings(value)
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f"{network!r} is not an address or a CIDR range") from None
    return networks


def _paths(value: object) -> tuple[str, ...]:
    return _checked_paths(_strings(value), MAX_DEDUPE_PATHS)


def _indexed_fields(value: object) -> tuple[str, ...]:
    # As JSONPath writes the root, which people know.
    paths = dict.fromkeys(path.removeprefix("$.") for path in _strings(value))
    # A path stands before a colon where events are looked for by it, and in a column of text.
    if any(":" in path or not path.isprintable() for path in paths):
        raise ValueError("has a path with a colon or a character that cannot be printed")
    return _checked_paths(tuple(paths), MAX_INDEXED_FIELDS)


def _checked_paths(paths: tuple[str, ...], most: int) -> tuple[str, ...]:
    if len(paths) > most:
        raise ValueError(f"has at most {most} paths")
    for path in paths:
        keys = path.split(".")
        if not all(keys) or len(keys) > MAX_DEDUPE_PATH_KEYS or len(path) > 200:
            raise ValueError(
                f"{path[:64]!r} is no path: at most {MAX_DEDUPE_PATH_KEYS} keys with dots between, as in `data.id`"
            )
    return paths


def _check_dedupe(config: EndpointConfig) -> None:
    """Raise InvalidConfig for fields of a content that is not looked at, or that are both all and none of it."""
    chosen = [key for key in ("dedupe_include", "dedupe_exclude") if getattr(config, key)]
    if chosen and config.dedupe is not Dedupe.CONTENT:
        raise InvalidConfig(
            [(key, "is for `dedupe: content` only: set that beside it, or make it []") for key in chosen]
        )
    if len(chosen) > 1:
        raise InvalidConfig([(key, "cannot be beside the other: include or exclude") for key in chosen])


def _answer(value: object) -> AnswerSpec | None:
    return None if value is None else read_answer(value)


def _filter(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and value):
        raise ValueError("must be null or a CEL expression")
    return value


def _methods(value: object) -> tuple[str, ...]:
    methods = tuple(dict.fromkeys(method.upper() for method in _strings(value)))
    if not methods or not set(methods) <= set(METHODS):
        raise ValueError(f"must be one or more of {', '.join(METHODS)}")
    return methods


def _origins(value: object) -> tuple[str, ...]:
    origins = tuple(dict.fromkeys(origin.lower() for origin in _strings(value)))
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is not `*` or an origin like `https://shop.example.com`")
    return origins


def _object(value: object) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise ValueError("must be an object")
    return value


_READERS: dict[str, Any] = {
    "authentication_required": boolean,
    "allowed_event_types": _event_types,
    "max_payload_size": whole(1, MAX_PAYLOAD_KB),
    "rate_limit_per_minute": lambda value: None if value is None else whole(0, 1_000_000)(value),
    "webhook_timeout": whole(1, 3600),
    "allowed_methods": _methods,
    "enable_cors": boolean,
    "cors_origins": _origins,
    "node_behavior": one_of(NodeBehavior),
    "allowed_ips": _networks,
    "dedupe": one_of(Dedupe),
    "dedupe_window_days": whole(1, 365),
    "dedupe_include": _paths,
    "dedupe_exclude": _paths,
    "redact_fields": _paths,
    "answer": _answer,
    "response_wait": _seconds(MAX_RESPONSE_WAIT_S),
    "response_timeout_status": whole(200, 599),
    "filter": _filter,
    "payload_retention_days": lambda value: None if value is None else whole(1, 3650)(value),
    "indexed_fields": _indexed_fields,
    "provider_options": lambda value: _object(value) or {},
    "provider_spec": _object,
}


_DEFAULTS = show_config(EndpointConfig())
