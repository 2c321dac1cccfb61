from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from kanca.domain.subscription import SignatureKind
from kanca.outbound.signing import signature_headers
from tests.cli.conftest import Kanca
from tests.cli.running import RunningCommand
from tests.outbound.samples import PRIVATE_KEY, PUBLIC_KEY, SECRET

BODY = b'{"event_type": "order.created", "event_id": "7", "data": {"name": "\\u001b[31m"}}'


def post(
    url: str, body: bytes = BODY, headers: dict[str, str] | None = None, method: str = "POST"
) -> tuple[int, bytes]:
    request = Request(url, body, headers or {}, method=method)  # noqa: S310 - an address of this machine
    try:
        with urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return answer.status, answer.read()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def address(command: RunningCommand) -> str:
    said = command.wait_for("(Ctrl-C stops it)")
    return said.split("Receiving at ")[1].split()[0]


def signed(kind: SignatureKind = SignatureKind.STANDARD, secret: str = SECRET) -> dict[str, str]:
    return signature_headers(kind, [secret], "evt_1", int(time.time()), BODY) | {
        "X-Webhook-Event": "order.created",
        "X-Webhook-Hops": "2",
    }


def test_a_delivery_is_shown_with_its_verdict(tmp_path: Path) -> None:
    with RunningCommand(tmp_path, "receive", "--port", "0", "--secret", SECRET) as command:
        url = address(command)
        assert post(url + "hooks", headers=signed()) == (200, b"")
        shown = command.wait_for("}\n")
        assert "POST  /hooks  order.created  evt_1 → 200" in shown
        assert "signature: right: the v1 signature fits" in shown
        assert "x-webhook-hops: 2" in shown
        assert '"event_id": "7"' in shown
        assert "\x1b" not in shown
        post(url, BODY + b" ", headers=signed())
        assert "WRONG: no v1 signature fits" in command.wait_for("WRONG: no")
        assert command.interrupt() == 0
        assert "Traceback" not in command.errors()


def test_as_json_each_request_is_a_line(tmp_path: Path) -> None:
    words = ("receive", "--port", "0", "--json", "--secret", PUBLIC_KEY, "--status", "500", "--status", "202")
    with RunningCommand(tmp_path, *words) as command:
        url = json.loads(command.wait_for("\n"))["receiving_at"]
        answers = [
            post(url, headers=signed(SignatureKind.ED25519, PRIVATE_KEY)),
            post(url, b"no JSON", method="PUT"),
            post(url, b""),
        ]
        lines = command.wait_for('"body": ""}\n').splitlines()
    shown: list[dict[str, Any]] = [json.loads(line) for line in lines[1:]]
    assert [status for status, _ in answers] == [500, 202, 202]
    assert [line["answered"] for line in shown] == [500, 202, 202]
    assert [line["is_verified"] for line in shown] == [True, False, False]
    assert [line["body"] for line in shown] == [json.loads(BODY), "no JSON", ""]
    assert (shown[1]["method"], shown[0]["id"]) == ("PUT", "evt_1")


def test_a_challenge_is_echoed_whatever_is_answered_otherwise(tmp_path: Path) -> None:
    challenge = json.dumps({"type": "webhook.challenge", "challenge": "abc"}).encode()
    with RunningCommand(tmp_path, "receive", "--port", "0", "--status", "503") as command:
        url = address(command)
        assert post(url, challenge) == (200, b'{"challenge": "abc"}')
        assert post(url) == (503, b"")
        assert "signature: not checked" in command.wait_for("→ 503")
    with RunningCommand(tmp_path, "receive", "--port", "0", "--no-challenge") as command:
        assert post(address(command), challenge) == (200, b"")


@pytest.mark.parametrize("secret", ["short", "whpk_AAAA", "whsec_%%%%%%%%%%%%%%%%%"])
def test_a_secret_that_no_subscription_has_is_refused(kanca: Kanca, secret: str) -> None:
    called = kanca("receive", "--port", "0", "--secret", secret)
    assert called.exit_code == 2
    assert "invalid_secret" in called.stderr


def test_a_port_that_is_taken_is_said(kanca: Kanca, tmp_path: Path) -> None:
    with RunningCommand(tmp_path, "receive", "--port", "0") as command:
        port = address(command).rstrip("/").rpartition(":")[2]
        called = kanca("receive", "--port", port)
    assert called.exit_code == 2
    assert f"127.0.0.1:{port} cannot be listened on" in called.stderr
