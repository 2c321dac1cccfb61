from __future__ import annotations

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no types

from kanca.bodies.yaml import read_yaml
from kanca.cli import manifest_reader
from scripts.docs import ROOT
from scripts.manifest_schema import schema
from tests.acceptance.test_apply import WHOLE, sample
from tests.acceptance.test_export import WHOLE as EXPORTED

SCHEMA = schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def in_guide() -> list[str]:
    text = (ROOT / "docs" / "guides" / "as-code.md").read_text()
    return [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "kanca: 1" in block]


def items(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMA["properties"][kind]["items"]
    return found


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "text",
    [sample(), WHOLE, EXPORTED, (ROOT / "examples" / "orders" / "hooks.yaml").read_text(), *in_guide()],
)
def test_manifests_that_are_applied_fit_it(text: str) -> None:
    for document in read_yaml(text.encode()):
        VALIDATOR.validate(document)


def test_it_knows_the_keys_that_are_read_and_no_other() -> None:
    assert set(SCHEMA["properties"]) == {"kanca", *manifest_reader.KINDS}
    assert set(items("event_types")["properties"]) == manifest_reader.EVENT_TYPE_KEYS
    assert set(items("credentials")["properties"]) == manifest_reader.CREDENTIAL_KEYS
    assert set(items("endpoints")["properties"]) == manifest_reader.ENDPOINT_KEYS
    assert set(items("subscriptions")["properties"]) == manifest_reader.SUBSCRIPTION_KEYS


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kanca": 2},
        {"kanca": 1, "secrets": []},
        {"kanca": 1, "endpoints": [{"name": "no slug"}]},
        {"kanca": 1, "endpoints": [{"slug": "s", "secret": "in clear"}]},
        {"kanca": 1, "endpoints": [{"slug": "s", "config": {"dedupe": "sometimes"}}]},
        {"kanca": 1, "subscriptions": [{"id": "s", "url": "https://x.example"}]},
        {"kanca": 1, "credentials": [{"name": "c", "kind": "bearer", "token": "in clear"}]},
        {"kanca": 1, "workflows": [{"id": "w", "nodes": [], "colour": "red"}]},
    ],
)
def test_what_would_be_refused_does_not_fit(document: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(document)
