"""A receiver of deliveries that behaves as it is told, as badly as may be, and keeps a log of what it was sent."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

from standardwebhooks import Webhook, WebhookVerificationError

BODY_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
CUT_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe beginning"
PIECE = b"and so on, " * 1_000
ABORTIVE = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection."""


class Misbehaviour(Enum):
    """What is done instead of answering."""

    HANG = "never answer"
    RESET = "reset the connection"
    CUT = "reset the connection in the midst of the answer"
    ENDLESS = "answer 200, and never come to the end of the body"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0

    def encode(self) -> bytes:
        """As HTTP."""
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"HTTP/1.1 {self.status} As told\r\n{headers}Content-Length: 0\r\n\r\n".encode()


@dataclass(frozen=True, slots=True)
class Request:
    """What is decided about."""

    name: str
    """Of the receiver: the path."""
    webhook_id: str
    number: int
    """How often this delivery has come, this time included."""
    body: bytes


Behaviour = Callable[[Request], Answer | Misbehaviour]


class Receiver:
    """Receives at ``/{name}`` for each name that it has a behaviour and a secret for."""

    def __init__(self) -> None:
        self.url = ""
        self.count = 0
        """Requests."""
        self.log: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        """By name and webhook-id, in the order in which they first came: how often."""
        self.faults: list[str] = []
        """What was wrong with requests."""
        self.connections: set[asyncio.Transport] = set()
        self.unfinished: set[asyncio.Transport] = set()
        """Connections whose answer never ends, while they are open."""
        self.on_request: Callable[[Request, asyncio.Transport], None] = lambda *_: None
        self.on_answer: Callable[[Request, asyncio.Transport, Answer], None] = lambda *_: None
        """Told of requests that are answered, when they come and when they are."""
        self._behaviours: dict[str, Behaviour] = {}
        self._keys: dict[str, Webhook] = {}
        self._contents: dict[tuple[str, str], tuple[bytes, dict[str, str]]] = {}

    def add(self, name: str, secret: str, behaviour: Behaviour) -> None:
        """Receive what is signed with the secret."""
        self._behaviours[name] = behaviour
        self._keys[name] = Webhook(secret)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[Request, Answer | Misbehaviour]:
        """Check a request, log it, and decide what to do with it."""
        self.count += 1
        name, webhook_id = path.strip("/"), headers.get("webhook-id", "")
        if name not in self._behaviours:
            self.faults.append(f"a request to {path}")
            return Request(name, webhook_id, 1, body), Answer(404)
        try:
            self._keys[name].verify(body, headers)
        except WebhookVerificationError as error:
            self.faults.append(f"{path}: {error}")
        lasting = {each: headers.get(each, "") for each in ("x-webhook-event", "content-type", "user-agent")}
        if self._contents.setdefault((name, webhook_id), (body, lasting)) != (body, lasting):
            self.faults.append(f"{path}: {webhook_id} came with something else than before")
        seen = self.log[name]
        seen[webhook_id] += 1
        request = Request(name, webhook_id, seen[webhook_id], body)
        return request, self._behaviours[name](request)


class _Connection(asyncio.Protocol):
    """HTTP as far as it is needed: requests with a length, one after the other."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._read = b""
        self._transport: asyncio.Transport
        self._is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._receiver.connections.add(transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._receiver.connections.discard(self._transport)
        self._receiver.unfinished.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode().split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        length = int(headers.get("content-length", "0"))
        if len(rest) >= length:
            self._read = rest[length:]
            request, answer = self._receiver.take(first.split()[1], headers, rest[:length])
            self._react(request, answer)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._pour()

    def _react(self, request: Request, answer: Answer | Misbehaviour) -> None:
        match answer:
            case Answer():
                self._receiver.on_request(request, self._transport)
                asyncio.get_running_loop().call_later(answer.after_s, self._answer, request, answer)
            case Misbehaviour.HANG:
                self._receiver.unfinished.add(self._transport)
            case Misbehaviour.ENDLESS:
                self._receiver.unfinished.add(self._transport)
                self._transport.write(BODY_HEAD)
                self._pour()
            case Misbehaviour.RESET | Misbehaviour.CUT:
                if answer is Misbehaviour.CUT:
                    self._transport.write(CUT_ANSWER)
                connection: socket.socket = self._transport.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORTIVE)
                self._transport.abort()

    def _answer(self, request: Request, answer: Answer) -> None:
        self._receiver.on_answer(request, self._transport, answer)
        if not self._transport.is_closing():
            self._transport.write(answer.encode())

    def _pour(self) -> None:
        if not self._is_full and not self._transport.is_closing():
            self._transport.write(PIECE)
            asyncio.get_running_loop().call_soon(self._pour)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A running receiver."""
    receiver = Receiver()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(receiver), "127.0.0.1", 0, backlog=1_000)
    host, port = server.sockets[0].getsockname()
    receiver.url = f"http://{host}:{port}"
    try:
        yield receiver
    finally:
        server.close()
        for transport in receiver.connections:
            transport.abort()
        while receiver.connections:  # noqa: ASYNC110 - each is told in its own turn
            await asyncio.sleep(0)  # until each is told that it is lost
