from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from tests.servers.node import run_node


def test_githubs_own_library_signs_as_github_documents_it() -> None:
    body = '{"zen":"Yarı yolda durma."}'.encode()
    script = """
        import { sign } from "@octokit/webhooks-methods";
        import { text } from "node:stream/consumers";
        process.stdout.write(await sign(process.argv[1], await text(process.stdin)));
    """

    signature = run_node(script, "it is a secret", stdin=body).decode()

    assert signature == "sha256=" + hmac.new(b"it is a secret", body, hashlib.sha256).hexdigest()


def test_real_github_payloads_are_at_hand() -> None:
    script = """
        import examples from "@octokit/webhooks-examples" with { type: "json" };
        process.stdout.write(JSON.stringify(examples));
    """

    examples = json.loads(run_node(script))

    assert {"push", "issues", "pull_request", "ping"} <= {example["name"] for example in examples}


def test_a_failing_script_says_why() -> None:
    with pytest.raises(RuntimeError, match="no such flower"):
        run_node('throw new Error("no such flower")')
