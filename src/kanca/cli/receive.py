"""``kanca receive``: a receiver on this machine that shows what comes, and whether its signature is right."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.output import plain
from kanca.cli.server import AsJson
from kanca.errors import InvalidInput

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer

MAX_BODY_BYTES = 32 * 1024 * 1024
CHALLENGE_TYPE = "webhook.challenge"
_SHOWN_HEADERS = ("webhook-timestamp", "x-webhook-hops", "user-agent", "content-type", "authorization")
"""Beside the type, the id and the signatures, which have their own lines."""
_WORDS = {True: "right: ", False: "WRONG: ", None: ""}


@dataclass
class Receiver:
    """What is answered, and how requests are judged."""

    secret: str | None
    hex_header: str
    statuses: list[int]
    """One after the other, the last one for ever."""
    delay_s: float
    echoes_challenges: bool
    show: Callable[[dict[str, Any]], None]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Show a request (header names in lower case); gives the status and the body of the answer."""
        document = _document(body)
        challenge = _challenge(document) if self.echoes_challenges else None
        with self._lock:
            status, answer = (200, challenge) if challenge is not None else (self._next_status(), b"")
            is_proven, verdict = self._judge(headers, body)
            self.show(
                {
                    "received_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "method": method,
                    "path": path,
                    "event_type": headers.get("x-webhook-event") or _type_in(document),
                    "id": headers.get("webhook-id"),
                    "is_verified": is_proven,
                    "signature": verdict,
                    "answered": status,
                    "headers": dict(headers),
                    "body": document if document is not None else body.decode(errors="replace"),
                }
            )
        if self.delay_s:
            time.sleep(self.delay_s)
        return status, answer

    def _next_status(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def _judge(self, headers: Mapping[str, str], body: bytes) -> tuple[bool | None, str]:
        if self.secret is None:
            return None, "not checked; --secret has it checked"
        from kanca.outbound.checking import check

        checked = check(headers, body, self.secret, time.time(), self.hex_header)
        return checked.is_proven, checked.reason


def receive(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0: any.")] = 9000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="KANCA_RECEIVE_SECRET",
            help="The subscription's secret, or its public key (whpk_…).",
            show_default=False,
        ),
    ] = None,
    header: Annotated[
        str, typer.Option(help="Where the signature of a subscription with `signature: hex` stands.")
    ] = "X-Webhook-Signature",
    status: Annotated[
        list[int] | None,
        typer.Option(
            min=200,
            max=599,
            help="What to answer; several are answered in turn, the last one for ever. Default: 200.",
            show_default=False,
        ),
    ] = None,
    delay: Annotated[float, typer.Option(min=0, help="Seconds before each answer.")] = 0,
    challenge: Annotated[bool, typer.Option(help="Echo the tokens of challenges.")] = True,
    as_json: AsJson = False,
) -> None:
    """Receive webhooks on this machine: show each, and whether its signature is right."""
    if secret is not None:
        _check_secret(secret)
    receiver = Receiver(
        secret, header, list(status or [200]), delay, challenge, _show_line if as_json else _show_text
    )
    with _listening(receiver, host, port) as server:
        address = f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}/"
        listening = (
            json.dumps({"receiving_at": address}) if as_json else f"Receiving at {address} (Ctrl-C stops it)"
        )
        typer.echo(listening)
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            typer.echo("", err=True)


def _check_secret(secret: str) -> None:
    """Raise InvalidSecret for one that no subscription has."""
    from kanca.domain.subscription import SignatureKind
    from kanca.outbound.keys import PRIVATE_PREFIX, PUBLIC_PREFIX, check_secret, verifying_key

    if secret.startswith((PUBLIC_PREFIX, PRIVATE_PREFIX)):
        verifying_key(secret)
    else:
        check_secret(SignatureKind.STANDARD, secret)


def _listening(receiver: Receiver, host: str, port: int) -> ThreadingHTTPServer:
    """A server for the receiver, bound. Raises InvalidInput when it cannot be."""
    import socket
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):  # whatever the method is
                return self._answer
            raise AttributeError(name)

        def _answer(self) -> None:
            headers = _folded(self.headers.items())
            length = headers.get("content-length", "0")
            if "transfer-encoding" in headers:
                self.send_error(411)
                return
            if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
                self.send_error(413)
                return
            status, answer = receiver.take(self.command, self.path, headers, self.rfile.read(int(length)))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if status != 204:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: the receiver does."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    try:
        return Server((host, port), Handler)
    except OSError as error:
        raise InvalidInput(f"{host}:{port} cannot be listened on: {error.strerror}.") from None


def _show_line(request: dict[str, Any]) -> None:
    typer.echo(json.dumps(request))


def _show_text(request: dict[str, Any]) -> None:
    headers, body = request["headers"], request["body"]
    first = [request["method"], request["path"], request["event_type"], request["id"]]
    lines = [
        "  ".join([request["received_at"][11:19], *(plain(part) for part in first if part)])
        + f" → {request['answered']}",
        f"  signature: {_WORDS[request['is_verified']]}{plain(request['signature'])}",
        *(f"  {name}: {plain(headers[name])}" for name in _SHOWN_HEADERS if name in headers),
    ]
    if body != "":
        text = body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
        lines += [f"    {plain(line)}" for line in text.splitlines()]
    typer.echo("\n".join(lines) + "\n")


def _folded(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    folded: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        folded[key] = f"{folded[key]}, {value}" if key in folded else value
    return folded


def _document(body: bytes) -> Any:
    """What the body says as JSON; None when it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _type_in(document: Any) -> str | None:
    found = document.get("event_type", document.get("type")) if isinstance(document, dict) else None
    return found if isinstance(found, str) else None


def _challenge(document: Any) -> bytes | None:
    """The answer to a challenge; None when it is none."""
    if (
        not isinstance(document, dict)
        or document.get("type") != CHALLENGE_TYPE
        or "challenge" not in document
    ):
        return None
    return json.dumps({"challenge": document["challenge"]}).encode()
