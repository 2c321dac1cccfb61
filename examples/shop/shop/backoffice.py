"""The shop's back office: a service of its own that keeps failing, as services do."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any

import aiohttp

from kanca import Discard, Retry

URL = os.environ.get("SHOP_BACKOFFICE_URL", "http://127.0.0.1:9100")
TIMEOUT_S = 5.0


async def post(path: str, body: dict[str, Any], call_id: str) -> dict[str, Any]:
    """Ask the back office to do something. The call id lets it see that it did so already.

    Raises Retry when it asks us to come back, Discard when it does not want this at all, and what aiohttp raises when
    it cannot be reached: then Kanca tries again by itself.
    """
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(URL + path, json=body, headers={"Idempotency-Key": call_id}) as answer,
    ):
        _check(answer.status, answer.headers.get("Retry-After"), await answer.text())
        return dict(await answer.json())


def post_sync(path: str, body: dict[str, Any], call_id: str) -> dict[str, Any]:
    """The same for sync handlers."""
    request = urllib.request.Request(  # noqa: S310 - the address is the shop's own
        URL + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": call_id},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            _check(error.code, error.headers.get("Retry-After"), error.read().decode(errors="replace"))
        raise


def _check(status: int, retry_after: str | None, text: str) -> None:
    if status == 503:
        raise Retry(after=float(retry_after) if retry_after else None, reason="the back office is busy")
    if status == 409:
        raise Discard(f"the back office does not want it: {text[:200]}")
    if status >= 400:
        raise RuntimeError(f"the back office answered {status}: {text[:200]}")
