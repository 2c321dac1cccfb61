"""What Schemathesis loads: it signs what goes to the built-in endpoint, whatever the body."""

from __future__ import annotations

import hmac
import os
from typing import Any

import schemathesis
from requests import PreparedRequest
from requests.auth import AuthBase

from tests.acceptance.conformity import SECRET_VARIABLE


class Signed(AuthBase):
    """Signs as the sender of an envelope does."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The request with its signature."""
        body: Any = request.body or b""
        text = body.encode() if isinstance(body, str) else body
        digest = hmac.digest(os.environ[SECRET_VARIABLE].encode(), text, "sha256").hex()
        request.headers["X-Webhook-Signature"] = digest
        return request


@schemathesis.hook
def before_call(_context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Have the request signed, once it is bytes."""
    if case.path.startswith("/webhooks/receive"):
        kwargs["auth"] = Signed()
