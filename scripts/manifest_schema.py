"""The JSON Schema of the manifests that ``kanca apply`` reads, made of what the API and the reader say of them."""

from __future__ import annotations

import json
from typing import Any

from kanca.api.endpoint_models import EndpointRequest
from kanca.api.event_types import EventTypeRequest
from kanca.api.subscription_requests import SubscriptionRequest
from kanca.api.workflow_schema import DEFINITION_SCHEMA
from kanca.cli.manifest import FORMAT
from kanca.domain.credential import FIELDS, CredentialKind
from kanca.domain.endpoint import Dedupe, EndpointConfig, NodeBehavior
from kanca.domain.endpoint_config import show_config
from kanca.domain.ids import CHOSEN_ID

Schema = dict[str, Any]

_VARIABLE: Schema = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
_FILE: Schema = {"type": "string", "minLength": 1}
_ID: Schema = {"type": "string", "pattern": f"^{CHOSEN_ID.pattern}$"}
_SECRET: Schema = {
    "secret_from_env": _VARIABLE | {"description": "The environment variable that holds the secret."},
    "secret_from_file": _FILE | {"description": "The file that holds the secret."},
}
_CHOICES: dict[str, list[NodeBehavior] | list[Dedupe]] = {
    "node_behavior": list(NodeBehavior),
    "dedupe": list(Dedupe),
}
_OTHER_TYPES: dict[str, list[str]] = {
    "answer": ["object", "null"],
    "filter": ["string", "null"],
    "payload_retention_days": ["integer", "null"],
    "rate_limit_per_minute": ["integer", "null"],
    "response_wait": ["number"],
    "provider_options": ["object"],
    "provider_spec": ["object", "null"],
}
_TYPES = {bool: "boolean", int: "integer", list: "array"}


def manifest_schema() -> str:
    """The text of ``docs/reference/manifest.schema.json``."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> Schema:
    """The schema of one document of a manifest."""
    kinds = {
        "event_types": _event_type(),
        "credentials": _credential(),
        "workflows": _workflow(),
        "endpoints": _endpoint(),
        "subscriptions": _subscription(),
    }
    lists = {kind: {"type": ["array", "null"], "items": items} for kind, items in kinds.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What there shall be on a Kanca server",
        "description": "A document that `kanca apply` reads and `kanca export` writes.",
        **_object({"kanca": {"const": FORMAT, "description": "The version of this form."}, **lists}, "kanca"),
    }


def _event_type() -> Schema:
    return _object({"name": {"type": "string", "minLength": 1}, **_properties(EventTypeRequest)}, "name")


def _credential() -> Schema:
    parts = sorted({part for fields in FIELDS.values() for part in fields})
    variables = _object(dict.fromkeys(parts, _VARIABLE)) | {
        "description": "The variable that holds each part."
    }
    files = _object(dict.fromkeys(parts, _FILE)) | {"description": "The file that holds each part."}
    kind: Schema = {"enum": [str(kind) for kind in CredentialKind]}
    properties = {"name": _ID, "kind": kind, "from_env": variables, "from_file": files}
    return _object(properties, "name", "kind") | {
        "anyOf": [{"required": ["from_env"]}, {"required": ["from_file"]}]
    }


def _workflow() -> Schema:
    besides = {
        "publish": {"type": "boolean", "default": True, "description": "false leaves it a draft."},
        "tenant": _ID | {"description": "Of a new one."},
    }
    edges = json.loads(json.dumps(DEFINITION_SCHEMA["properties"]["edges"]))
    # `port: true` is the port "true" in YAML.
    edges["items"]["properties"]["port"] = {"type": ["string", "boolean"], "default": "out"}
    return DEFINITION_SCHEMA | {
        "properties": DEFINITION_SCHEMA["properties"] | {"edges": edges} | besides,
        "additionalProperties": False,
    }


def _endpoint() -> Schema:
    properties = _properties(EndpointRequest, "secret", "config")
    properties |= {"active": {"type": "boolean"}, "config": _config(), **_SECRET}
    return _object(properties) | {"anyOf": [{"required": ["slug"]}, {"required": ["webhook_id"]}]}


def _config() -> Schema:
    found: Schema = {}
    for key, default in show_config(EndpointConfig()).items():
        if key in _CHOICES:
            found[key] = {"enum": [str(choice) for choice in _CHOICES[key]], "default": default}
        elif key in _OTHER_TYPES:
            found[key] = {"type": _OTHER_TYPES[key]}
        else:
            found[key] = {"type": _TYPES[type(default)], "default": default}
    return _object(found)


def _subscription() -> Schema:
    return _object(_properties(SubscriptionRequest, "secret") | _SECRET, "id", "url", "events")


def _properties(model: Any, *without: str) -> Schema:
    """The members of a request, as the API describes them."""
    found: Schema = model.model_json_schema()["properties"]
    return {name: _untitled(value) for name, value in found.items() if name not in without}


def _untitled(value: Schema) -> Schema:
    return {key: part for key, part in value.items() if key != "title"}


def _object(properties: Schema, *required: str) -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | ({"required": list(required)} if required else {})
