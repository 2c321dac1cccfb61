"""What the guide for receivers shows works."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.exceptions import InvalidSignature
from standardwebhooks.webhooks import WebhookVerificationError

from kanca.domain.subscription import SignatureKind
from kanca.outbound.keys import new_secret
from kanca.outbound.message import envelope
from kanca.outbound.signing import signature_headers
from tests.guides import GUIDES, modules_of
from tests.outbound.samples import OLD_SECRET, PRIVATE_KEY, PUBLIC_KEY, SECRET, an_event
from tests.servers.node import run_node

GUIDE = "receiving-from-kanca.md"
BODY = envelope(an_event(data={"name": "Ü"}))


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[dict[str, ModuleType]]:
    with modules_of(GUIDE, tmp_path) as modules:
        yield modules


def headers(kind: SignatureKind, *secrets: str) -> dict[str, str]:
    return signature_headers(kind, secrets, "evt_1", int(time.time()), BODY)


def test_the_python_of_the_guide_takes_our_deliveries_only(shown: dict[str, ModuleType]) -> None:
    read = shown["receiver/verifying.py"].read
    signed = headers(SignatureKind.STANDARD, SECRET, OLD_SECRET)
    assert read(OLD_SECRET, signed, BODY) == read(SECRET, signed, BODY) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        read(SECRET, signed, BODY + b" ")


def test_the_key_pair_of_the_guide_does_too(shown: dict[str, ModuleType]) -> None:
    verify = shown["receiver/key_pair.py"].verify
    for others in ((), (new_secret(SignatureKind.ED25519),)):
        signed = headers(SignatureKind.ED25519, *others, PRIVATE_KEY)
        verify(PUBLIC_KEY, signed, BODY)
        with pytest.raises(InvalidSignature):
            verify(PUBLIC_KEY, signed, BODY + b" ")


def test_the_node_of_the_guide_does_too() -> None:
    found = re.search(r"```js\n(.*?)```", (GUIDES / GUIDE).read_text(), re.DOTALL)
    assert found is not None
    question = {
        "headers": headers(SignatureKind.STANDARD, SECRET, OLD_SECRET),
        "bodies": [b64encode(body).decode() for body in (BODY, BODY + b" ")],
        "secrets": [SECRET, OLD_SECRET, new_secret(SignatureKind.STANDARD)],
    }
    script = (
        found[1]
        + """
        const { headers, bodies, secrets } = JSON.parse(process.argv[1]);
        const now = Date.now() / 1000;
        const at = (secret, body, then) => isFromKanca(secret, headers, Buffer.from(body, "base64"), then);
        console.log(JSON.stringify([
          ...secrets.map((secret) => bodies.map((body) => at(secret, body, now))),
          at(secrets[0], bodies[0], now + 400),
        ]));
    """
    )
    assert json.loads(run_node(script, json.dumps(question))) == [
        [True, False],
        [True, False],
        [False, False],
        False,
    ]
