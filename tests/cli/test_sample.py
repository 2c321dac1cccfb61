from __future__ import annotations

from kanca.cli.sample import Sample, ensure_sample
from kanca.cli.server import Server
from tests.cli.conftest import ScriptedServer

GENERIC = {"slug": "sample", "webhook_id": "wh_1", "endpoint_path": "/api/webhooks/wh_1"}
STRIPE = {"slug": "sample-stripe", "webhook_id": "wh_2", "endpoint_path": "/api/webhooks/wh_2"}
SECRETS = ((200, {"secret_token": "wht_1"}), (200, {"secret_token": "whsec_2"}))
MADE = Sample("/api/webhooks/wh_1", "wht_1", "/webhooks/sample-stripe", "whsec_2")


def _calls(server: ScriptedServer) -> list[str]:
    return [f"{received.method} {received.path.partition('?')[0]}" for received in server.received]


def test_on_an_empty_server_everything_is_made(server: ScriptedServer) -> None:
    server.will_answer(
        (404, {}),
        (200, {"published_version": None}),
        (200, {}),
        (200, {"items": []}),
        (200, GENERIC),
        (200, STRIPE),
        *SECRETS,
    )

    assert ensure_sample(Server(server.url, None)) == MADE

    assert _calls(server) == [
        "GET /api/workflows/sample",
        "POST /api/workflows",
        "POST /api/workflows/sample/publish",
        "GET /api/webhooks/endpoints",
        "POST /api/webhooks/endpoints",
        "POST /api/webhooks/endpoints",
        "POST /api/webhooks/endpoints/wh_1/reveal-secret",
        "POST /api/webhooks/endpoints/wh_2/reveal-secret",
    ]


def test_what_an_interrupted_start_left_out_is_made_the_next_time(server: ScriptedServer) -> None:
    server.will_answer(
        (200, {"published_version": None}), (200, {}), (200, {"items": [GENERIC]}), (200, STRIPE), *SECRETS
    )

    assert ensure_sample(Server(server.url, None)) == MADE

    assert _calls(server)[:4] == [
        "GET /api/workflows/sample",
        "POST /api/workflows/sample/publish",
        "GET /api/webhooks/endpoints",
        "POST /api/webhooks/endpoints",
    ]


def test_what_is_there_is_left_as_it_is(server: ScriptedServer) -> None:
    server.will_answer((200, {"published_version": 7}), (200, {"items": [STRIPE, GENERIC]}), *SECRETS)

    assert ensure_sample(Server(server.url, None)) == MADE

    assert not [
        call for call in _calls(server) if call.startswith("POST") and not call.endswith("reveal-secret")
    ]
