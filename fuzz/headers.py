"""What senders and proxies say in headers: every provider's proof, forwarded addresses, codings, content types."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from fuzz.target import Target
from kanca.bodies import codings_of, read_document
from kanca.ingest.client import Proxies, parse_address
from kanca.providers import KeyNeeded, Refusal, Verified, compile_extractor
from tests.ingest.senders import PROXY, Sender, all_senders
from tests.ingest.site import NOON

NOW = NOON.timestamp()
SEPARATOR = b"\n"
_PROXIES = Proxies([PROXY, "10.0.0.0/8"])
_FORWARDING = (
    b"for=192.0.2.60;proto=http;by=203.0.113.43, for=10.0.0.1",
    b'For="[2001:db8:cafe::17]:4711", for="_hidden\\""',
    b"203.0.113.9, 10.0.0.2",
    b"::ffff:192.0.2.128, 10.0.0.1",
)


def check(data: bytes) -> None:
    """The first line names a provider's header (``stripe stripe-signature``), the second is its value."""
    name, _, value = data.partition(SEPARATOR)
    check_forwarding(value)
    provider, _, header = name.partition(b" ")
    sender = _senders().get(provider)
    if sender is not None:
        check_proof(sender, header, value)


def check_forwarding(value: bytes) -> None:
    """No value makes the way here anything but an address or nothing."""
    for header in (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto"):
        headers = {header: value}
        client = _PROXIES.client_of(PROXY, headers)
        if client and parse_address(client) is None:
            raise AssertionError(f"{client!r} is no address")
        _PROXIES.is_https("http", PROXY, headers)
    codings_of(value)
    read_document(b"a=1&b=2", value)


def check_proof(sender: Sender, header: bytes, value: bytes) -> None:
    """A delivery with this value in this header is verified or refused, and read."""
    request = sender.verifiable(sender.send(NOW))
    headers = {**request.headers, header: value}
    request.headers = headers
    verdict = sender.verifier.verify(request, [sender.issued.checking], NOW)
    if not isinstance(verdict, Verified | Refusal | KeyNeeded):
        raise TypeError(f"no verdict: {verdict!r}")
    signed_id = verdict.signed_id if isinstance(verdict, Verified) else None
    compile_extractor(sender.spec).extract(headers, request.document(), signed_id, request.body)


def seeds() -> Iterable[bytes]:
    """Every header of a real delivery of every provider."""
    for provider, sender in _senders().items():
        for header, value in sender.send(NOW).request().headers.items():
            yield provider + b" " + header + SEPARATOR + value
    for value in _FORWARDING:
        yield SEPARATOR + value


@cache
def _senders() -> dict[bytes, Sender]:
    return {sender.spec.name.encode(): sender for sender in all_senders()}


TARGET = Target(
    check, seeds, (b"t=", b"v1=", b"v1,", b"sha256=", b"Bearer ", b"for=", b"proto=", b"charset=")
)
