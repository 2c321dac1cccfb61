from __future__ import annotations

from typing import Any

import pytest

from kanca.cli.manifest import CredentialWanted, EndpointWanted, Manifest, WorkflowWanted, read_manifest
from kanca.errors import InvalidInput


def test_a_file_is_read_document_by_document() -> None:
    manifest = read_manifest(
        [
            {
                "kanca": 1,
                "credentials": [{"name": "crm", "kind": "bearer", "from_env": {"token": "CRM_TOKEN"}}],
                "workflows": [
                    {"id": "a", "nodes": [], "edges": [{"from": "x", "to": "y", "port": True}]},
                    {"id": "b", "nodes": [], "publish": False, "tenant": "acme"},
                ],
            },
            None,
            {
                "kanca": 1,
                "endpoints": [
                    {"slug": "s"},
                    {
                        "slug": "t",
                        "name": "T",
                        "provider": "github",
                        "workflow_id": "a",
                        "node_id": "n",
                        "config": {"allowed_ips": ["10.0.0.0/8"]},
                        "secret_from_env": "T_SECRET",
                    },
                ],
            },
        ]
    )
    assert manifest == Manifest(
        (CredentialWanted("crm", "bearer", {"token": "CRM_TOKEN"}),),
        (
            WorkflowWanted(
                "a", {"id": "a", "nodes": [], "edges": [{"from": "x", "to": "y", "port": "true"}]}
            ),
            WorkflowWanted("b", {"id": "b", "nodes": []}, is_published=False, tenant="acme"),
        ),
        (
            EndpointWanted("s"),
            EndpointWanted("t", "T", "github", "a", "n", {"allowed_ips": ["10.0.0.0/8"]}, "T_SECRET"),
        ),
    )


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
        assert read_manifest([values]) == Manifest()
        return
    with pytest.raises(InvalidInput) as refused:
        read_manifest([values])
    assert any(
        problem["node"] == where and words in problem["message"]
        for problem in refused.value.facts["problems"]
    ), refused.value.facts
