from __future__ import annotations

from typing import Any

import pytest

from kanca.cli.documents import Document
from kanca.cli.manifest import (
    CredentialWanted,
    EndpointWanted,
    EventTypeWanted,
    Manifest,
    SubscriptionWanted,
    WorkflowWanted,
)
from kanca.cli.manifest_reader import read_manifest
from kanca.cli.sources import Keeper, Source
from kanca.errors import InvalidInput


def a_document(values: Any, **lines: int) -> Document:
    return Document(values, "hooks.yaml", {(key, 0): line for key, line in lines.items()})


def test_a_file_is_read_document_by_document() -> None:
    manifest = read_manifest(
        [
            Document(
                {
                    "kanca": 1,
                    "event_types": [{"name": "order.created", "schema": {}, "enforced": True}],
                    "credentials": [
                        {
                            "name": "crm",
                            "kind": "basic",
                            "from_env": {"username": "CRM_USER"},
                            "from_file": {"password": "/run/secrets/crm"},
                        }
                    ],
                    "workflows": [
                        {"id": "a", "nodes": [], "edges": [{"from": "x", "to": "y", "port": True}]},
                        {"id": "b", "nodes": [], "publish": False, "tenant": "acme"},
                    ],
                }
            ),
            Document(None),
            Document(
                {
                    "kanca": 1,
                    "endpoints": [
                        {"slug": "s"},
                        {
                            "slug": "t",
                            "webhook_id": "wh_0123456789abcdef01234567",
                            "name": "T",
                            "provider": "github",
                            "tenant": "acme",
                            "workflow_id": "a",
                            "node_id": "n",
                            "active": False,
                            "config": {"allowed_ips": ["10.0.0.0/8"]},
                            "secret_from_env": "T_SECRET",
                        },
                    ],
                    "subscriptions": [
                        {
                            "id": "partner",
                            "url": "https://partner.example/hooks",
                            "events": ["order.*"],
                            "sources": ["t"],
                            "tenant": "acme",
                            "timeout": 5,
                            "secret_from_file": "partner.txt",
                        }
                    ],
                }
            ),
        ]
    )
    assert manifest == Manifest(
        event_types=(
            EventTypeWanted(
                "order.created", {"description": "", "schema": {}, "example": None, "enforced": True}
            ),
        ),
        credentials=(
            CredentialWanted(
                "crm",
                "basic",
                {
                    "username": Source(Keeper.ENV, "CRM_USER"),
                    "password": Source(Keeper.FILE, "/run/secrets/crm"),
                },
            ),
        ),
        workflows=(
            WorkflowWanted(
                "a", {"id": "a", "nodes": [], "edges": [{"from": "x", "to": "y", "port": "true"}]}
            ),
            WorkflowWanted("b", {"id": "b", "nodes": []}, is_published=False, tenant="acme"),
        ),
        endpoints=(
            EndpointWanted(slug="s"),
            EndpointWanted(
                slug="t",
                webhook_id="wh_0123456789abcdef01234567",
                name="T",
                provider="github",
                tenant="acme",
                workflow_id="a",
                node_id="n",
                is_active=False,
                config={"allowed_ips": ["10.0.0.0/8"]},
                secret=Source(Keeper.ENV, "T_SECRET"),
            ),
        ),
        subscriptions=(
            SubscriptionWanted(
                "partner",
                {
                    "url": "https://partner.example/hooks",
                    "events": ["order.*"],
                    "sources": ["t"],
                    "timeout": 5.0,
                },
                "acme",
                Source(Keeper.FILE, "partner.txt"),
            ),
        ),
    )


def test_a_problem_says_file_and_line() -> None:
    wrong = [
        a_document({"kanca": 1, "endpoints": [{"slug": "a/b"}]}, endpoints=7),
        a_document({"kanca": 1, "workflows": [{"id": "w"}]}, workflows=2),
        a_document({"kanca": 1, "workflows": [{"id": "w"}]}, workflows=9),
    ]
    with pytest.raises(InvalidInput) as refused:
        read_manifest(wrong)
    assert [problem["node"] for problem in refused.value.facts["problems"]] == [
        "hooks.yaml:7 endpoints[0]",
        "hooks.yaml:9 workflow w",
    ]


@pytest.mark.parametrize(
    ("values", "where", "words"),
    [
        ([], "the file", "must be an object"),
        ({}, "the file", "kanca: 1"),
        ({"kanca": True}, "the file", "kanca: 1"),
        ({"kanca": 2}, "the file", "kanca: 1"),
        ({"kanca": 1, "secrets": []}, "the file", "'secrets'"),
        ({"kanca": 1, "workflows": {}}, "", ""),
        ({"kanca": 1, "workflows": "w"}, "the file", "workflows must be a list"),
        ({"kanca": 1, "workflows": ["w"]}, "workflows[0]", "must be an object"),
        ({"kanca": 1, "workflows": [{"nodes": []}]}, "workflows[0]", "id must be a text"),
        ({"kanca": 1, "workflows": [{"id": "w", "publish": "yes"}]}, "workflows[0]", "publish"),
        ({"kanca": 1, "workflows": [{"id": "w"}, {"id": "w"}]}, "workflow w", "twice"),
        ({"kanca": 1, "endpoints": [{"slug": "a/b"}]}, "endpoints[0]", "slug"),
        ({"kanca": 1, "endpoints": [{"slug": "a", "secret": "x"}]}, "endpoints[0]", "'secret'"),
        ({"kanca": 1, "endpoints": [{"slug": "a", "node_id": "n"}]}, "endpoints[0]", "workflow_id"),
        ({"kanca": 1, "endpoints": [{"slug": "a", "config": []}]}, "endpoints[0]", "config"),
        (
            {"kanca": 1, "endpoints": [{"slug": "a", "config": {"dedupe": "x"}}]},
            "endpoints[0]",
            "config.dedupe",
        ),
        (
            {"kanca": 1, "endpoints": [{"slug": "a", "config": {"filter": "event."}}]},
            "endpoints[0]",
            "config.filter",
        ),
        (
            {"kanca": 1, "endpoints": [{"slug": "a", "secret_from_env": "A-B"}]},
            "endpoints[0]",
            "secret_from_env",
        ),
        ({"kanca": 1, "endpoints": [{"slug": "a"}, {"slug": "a"}]}, "endpoint a", "twice"),
        ({"kanca": 1, "endpoints": [{"name": "a"}]}, "endpoints[0]", "slug or webhook_id"),
        ({"kanca": 1, "endpoints": [{"webhook_id": "a"}]}, "endpoints[0]", "webhook_id"),
        ({"kanca": 1, "endpoints": [{"slug": "a", "active": 1}]}, "endpoints[0]", "active"),
        (
            {"kanca": 1, "endpoints": [{"slug": "a", "secret_from_env": "A", "secret_from_file": "a"}]},
            "endpoints[0]",
            "secret_from_file",
        ),
        ({"kanca": 1, "event_types": [{"schema": {}}]}, "event_types[0]", "name"),
        ({"kanca": 1, "event_types": [{"name": "a"}, {"name": "a"}]}, "event type a", "twice"),
        ({"kanca": 1, "subscriptions": [{"id": "s", "events": ["*"]}]}, "subscriptions[0]", "url"),
        ({"kanca": 1, "subscriptions": [{"id": "s", "url": "u", "events": "*"}]}, "subscriptions[0]", "list"),
        (
            {"kanca": 1, "subscriptions": [{"id": "s", "url": "u", "events": ["*"], "timeout": "x"}]},
            "subscriptions[0]",
            "timeout",
        ),
        (
            {"kanca": 1, "subscriptions": [{"id": "s", "url": "u", "events": ["*"], "secret": "x"}]},
            "subscriptions[0]",
            "'secret'",
        ),
        (
            {
                "kanca": 1,
                "credentials": [{"name": "c", "kind": "k", "from_env": {"a": "A"}, "from_file": {"a": "b"}}],
            },
            "credentials[0]",
            "from_file",
        ),
        ({"kanca": 1, "credentials": [{"name": "c", "kind": "bearer"}]}, "credentials[0]", "from_env"),
        (
            {"kanca": 1, "credentials": [{"name": "c", "kind": "bearer", "token": "x"}]},
            "credentials[0]",
            "'token'",
        ),
        (
            {"kanca": 1, "credentials": [{"name": "c", "kind": "k", "from_env": {"token": "a b"}}]},
            "credentials[0], from_env",
            "token",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(values: Any, where: str, words: str) -> None:
    if not where:
        assert read_manifest([Document(values)]) == Manifest()
        return
    with pytest.raises(InvalidInput) as refused:
        read_manifest([Document(values)])
    assert any(
        problem["node"] == where and words in problem["message"]
        for problem in refused.value.facts["problems"]
    ), refused.value.facts
