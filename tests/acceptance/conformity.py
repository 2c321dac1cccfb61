"""Asks the running server everything that its OpenAPI document allows, and much that it does not.

Schemathesis makes the requests and judges the answers: no 500, no status, media type or body that the document does
not name, nothing taken that its schemas exclude, nothing given without the key. It runs as a program of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.acceptance.processes import ADMIN_KEY, SOURCES, WEBHOOK_SECRET, Client, KancaProcess

SECRET_VARIABLE = "CONFORMITY_SECRET"
SIGNER = "tests.acceptance.signed_requests"

OPEN_SLUG = "open"
CONFIG = f"""
continue-on-failure = true
warnings = false
color = false

[dictionaries]
slugs = {{ values = ["{OPEN_SLUG}"] }}

[auth.openapi.admin_key]
bearer = "{ADMIN_KEY}"

# It never ends.
[[operations]]
include-operation-id = "tail_events"
enabled = false

[[operations]]
include-operation-id = "send_to_slug"
parameters = {{ "path.slug" = {{ dictionary = "slugs", probability = 0.8 }} }}
"""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
)
"""All but that whatever fits a schema is accepted: a slug may be taken, a cursor made up, a secret not Stripe's."""


async def run_schemathesis(
    server: KancaProcess, directory: Path, *options: str, limit_s: float
) -> subprocess.CompletedProcess[str]:
    """Run it against a server; it ends with 0 when every answer was as documented.

    Raises TimeoutExpired after ``limit_s``.
    """
    document, config = directory / "openapi.json", directory / "schemathesis.toml"
    async with Client(server) as client:
        document.write_text(json.dumps(await client.ask("GET", "/openapi.json")))
        takes_all = {"authentication_required": False, "rate_limit_per_minute": 0}
        await client.endpoint(slug=OPEN_SLUG, config=takes_all)
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    environ = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": SIGNER,
        SECRET_VARIABLE: WEBHOOK_SECRET,
        "PYTHONPATH": SOURCES,
    }
    return await asyncio.to_thread(
        subprocess.run,
        [*command, str(document), "--url", server.url, "--checks", ",".join(CHECKS), *options],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
