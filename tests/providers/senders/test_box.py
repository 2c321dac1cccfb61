"""Box's own package signs with both of its keys, and accepts."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from box_sdk_gen import WebhooksManager
from box_sdk_gen.internal.utils import compute_webhook_signature

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import arrives, departs, refusal

PRIMARY, SECONDARY = "SamplePrimaryKey", "SampleSecondaryKey"
BODY = '{"id":"1","trigger":"FILE.UPLOADED","source":{"name":"スクリーンショット 🍵.txt"}}'


def signed(**keys: str) -> dict[str, str]:
    moment = datetime.fromtimestamp(time.time() - 2, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    headers = {
        "box-delivery-timestamp": moment,
        "box-signature-version": "1",
        "box-signature-algorithm": "HmacSHA256",
    }
    signatures = {
        f"box-signature-{name}": compute_webhook_signature(BODY, headers, key, escape_body=True) or ""
        for name, key in keys.items()
    }
    return headers | signatures


@pytest.mark.parametrize(
    ("primary", "secondary"),
    [
        (PRIMARY, SECONDARY),
        ("rotated at Box already", SECONDARY),
        (PRIMARY, "rotated at Box already"),
    ],
)
def test_what_the_box_package_signs_is_accepted_by_either_key(primary: str, secondary: str) -> None:
    headers, keys = signed(primary=primary, secondary=secondary), [PRIMARY, SECONDARY]
    assert isinstance(arrives("box", headers, BODY.encode(), keys), Verified)
    # What is signed is the JSON in ASCII, whichever way it is sent.
    in_ascii = json.dumps(json.loads(BODY), separators=(",", ":")).encode()
    assert isinstance(arrives("box", headers, in_ascii, keys), Verified)
    changed = arrives("box", headers, BODY.replace("UPLOADED", "DELETED").encode(), keys)
    assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH


def test_a_key_that_ended_is_none() -> None:
    assert (
        refusal(arrives("box", signed(primary=PRIMARY), BODY.encode(), [SECONDARY]))
        is RefusalCode.SIGNATURE_MISMATCH
    )


def test_the_box_package_accepts_what_we_sign() -> None:
    sent = departs("box", PRIMARY, BODY.encode(), now=time.time() - 2)
    headers = {name.lower(): value for name, value in sent.headers.items()}
    headers["box-signature-primary"] = headers.pop("box-signature-1")
    assert WebhooksManager.validate_message(BODY, headers, PRIMARY, secondary_key=SECONDARY)
    assert not WebhooksManager.validate_message(BODY + " ", headers, PRIMARY, secondary_key=SECONDARY)
