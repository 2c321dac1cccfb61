"""Client certificates: which can be, and that what one was shown on serves no other."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from kanca.egress import EgressClient, EgressGuard
from kanca.egress.client_certificates import (
    BadClientCertificate,
    check_client_certificate,
    show_client_certificate,
)
from kanca.errors import EgressFailed, EgressRefused
from tests.egress.certificates import Authority, pem_of
from tests.egress.receiver import Names, Receiver, receiving


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def showing(authority: Authority, name: str) -> ssl.SSLContext:
    context = authority.client()
    show_client_certificate(context, *authority.issued(name))
    return context


@asynccontextmanager
async def asking_for_certificates(
    authority: Authority, *, insists: bool = True
) -> AsyncIterator[tuple[EgressClient, Receiver]]:
    """A receiver that answers with the name of the certificate that it was shown."""

    async def answer(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        shown: Any = request.transport.get_extra_info("peercert")
        return web.Response(text=shown["subject"][0][0][1] if shown else "nobody")

    server = authority.server("hooks.test")
    server.load_verify_locations(cadata=authority.pem())
    server.verify_mode = ssl.CERT_REQUIRED if insists else ssl.CERT_OPTIONAL
    names = Names({"hooks.test": [["127.0.0.1"]]})
    async with (
        receiving(answer, tls=server) as receiver,
        EgressClient(EgressGuard(("127.0.0.1",)), resolve=names, tls=authority.client()) as client,
    ):
        yield client, receiver


async def ask(
    client: EgressClient, receiver: Receiver, tls: ssl.SSLContext | None, scheme: str = "https"
) -> str:
    url = receiver.url(host="hooks.test", scheme=scheme)
    response = await client.request(
        "GET", url, timeout=timedelta(seconds=10), max_response_bytes=100, tls=tls
    )
    return response.body.decode()


async def test_a_receiver_that_insists_is_shown_the_certificate(authority: Authority) -> None:
    async with asking_for_certificates(authority) as (client, receiver):
        assert await ask(client, receiver, showing(authority, "Ada")) == "Ada"
        with pytest.raises(EgressFailed):
            await ask(client, receiver, None)


async def test_a_connection_serves_only_those_who_made_it(authority: Authority) -> None:
    ada, bob = showing(authority, "Ada"), showing(authority, "Bob")
    async with asking_for_certificates(authority, insists=False) as (client, receiver):
        for _ in range(2):
            assert [await ask(client, receiver, tls) for tls in (ada, None, bob)] == ["Ada", "nobody", "Bob"]
        assert len(receiver.peers) == 3


async def test_a_certificate_is_not_shown_where_nothing_is_encrypted(authority: Authority) -> None:
    async with asking_for_certificates(authority) as (client, receiver):
        with pytest.raises(EgressRefused) as caught:
            await ask(client, receiver, showing(authority, "Ada"), "http")
    assert caught.value.facts["reason"] == "bad_scheme"
    assert not receiver.requests


async def test_whom_a_certificate_is_shown_to_must_prove_itself_too(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    async with asking_for_certificates(authority) as (client, receiver):
        with pytest.raises(EgressFailed) as caught:
            await ask(client, receiver, showing(other, "Ada"))
    assert caught.value.facts["cause"] == "tls"


def test_a_certificate_may_have_its_chain_behind_it(authority: Authority) -> None:
    certificate, key = authority.issued("Ada")
    check_client_certificate(certificate + authority.pem(), key)
    check_client_certificate(f"Ada's:\r\n{certificate}".replace("\n", "\r\n"), f"\n{key}\n\n")


def test_what_cannot_be_a_client_certificate_is_told_and_not_quoted(authority: Authority) -> None:
    certificate, key = authority.issued("Ada")
    other = pem_of(ec.generate_private_key(ec.SECP256R1()))
    for wrong, problem in [
        (("nonsense", key), "certificate: is no certificate in PEM"),
        (("", key), "certificate: is no certificate in PEM"),
        ((key, key), "certificate: is no certificate in PEM"),
        ((certificate, certificate), "private_key: is no private key in PEM"),
        ((certificate, key[:100]), "private_key: is no private key in PEM"),
        ((certificate, other), "private_key: is not the key of the first certificate"),
        ((authority.pem() + certificate, key), "private_key: is not the key of the first certificate"),
        (
            (certificate, pem_of(x25519.X25519PrivateKey.generate())),
            "private_key: is not the key of the first",
        ),
        (
            (certificate, pem_of(ec.generate_private_key(ec.SECP256R1()), "a passphrase")),
            "private_key: is encrypted with a passphrase; give it without",
        ),
    ]:
        with pytest.raises(BadClientCertificate, match=f"^{problem}") as caught:
            check_client_certificate(*wrong)
        assert "BEGIN" not in str(caught.value)


def test_the_key_stands_in_no_file(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class Context(ssl.SSLContext):
        def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
            seen.append(Path(certfile).read_text())
            super().load_cert_chain(certfile, keyfile, password)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    show_client_certificate(Context(ssl.PROTOCOL_TLS_CLIENT), *authority.issued("Ada"))
    assert len(seen) == 1
    assert "ENCRYPTED PRIVATE KEY" in seen[0]
    assert "BEGIN PRIVATE KEY" not in seen[0]
    assert not list(tmp_path.glob("kanca-*"))
