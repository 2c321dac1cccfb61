"""Both directions of a proof: what a provider's package sends arrives here, and what leaves here is for the package.

Packages look at the real clock, so that is the clock here too, unless a test says another time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kanca.providers import (
    Draft,
    Refusal,
    RefusalCode,
    SignedRequest,
    Verdict,
    compile_verifier,
    get_provider,
    make_delivery,
    sign,
)
from tests.servers.node import run_node

URL = "https://kanca.example/in/shop"


def arrives(
    provider: str,
    headers: Mapping[str, str],
    body: bytes,
    secret: str | Sequence[str],
    *,
    url: str = URL,
    method: str = "POST",
    now: float | None = None,
    options: Mapping[str, Any] | None = None,
    documents: Mapping[str, bytes] | None = None,
) -> Verdict:
    """What an endpoint with this ``secret`` (or these, the newest first) says of a request.

    ``documents`` are certificates and key sets by their URL, as if they had been fetched.
    """
    named = {name.lower().encode(): value.encode() for name, value in headers.items()}
    request = SignedRequest(method, url, named, body, documents or {})
    secrets = [secret] if isinstance(secret, str) else secret
    verifier = compile_verifier(get_provider(provider), options)
    return verifier.verify(request, secrets, time.time() if now is None else now)


def departs(
    provider: str,
    secret: str,
    body: bytes | None = None,
    *,
    url: str = URL,
    event_type: str | None = None,
    delivery_id: str | None = None,
    now: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> Draft:
    """A delivery as Kanca signs it for the provider: its ``url``, ``headers`` and ``body``, any of which may be signed.

    ``secret`` is what the provider signs with. Without a ``body`` it is the provider's sample.
    """
    spec = get_provider(provider)
    delivery = make_delivery(
        spec,
        options,
        now=time.time() if now is None else now,
        url=url,
        event_type=event_type,
        delivery_id=delivery_id,
        body=body,
    )
    return sign(spec, options, secret, delivery.draft)


def refusal(verdict: Verdict) -> RefusalCode:
    """Why the request was refused; fails when it was not."""
    assert isinstance(verdict, Refusal), verdict
    return verdict.code


def ask_node(script: str, question: object = None) -> Any:
    """What the ``script``, the body of an async function, returns: JSON in as ``question``, JSON out.

    A start of Node costs a third of a second, so ask everything at once. Packages come by ``await import("…")``.
    """
    whole = f"""
        import {{ readFileSync }} from "node:fs";
        const question = JSON.parse(readFileSync(0, "utf8"));
        const answer = await (async () => {{ {script} }})();
        process.stdout.write("\\n" + JSON.stringify(answer ?? null));
    """
    printed = run_node(whole, stdin=json.dumps(question).encode())
    return json.loads(printed.rsplit(b"\n", 1)[-1])
