"""Who is at the other end, as far as trusted proxies say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.ingest.client import Proxies, is_within, parse_address, parse_networks, rate_limit_key

PROXIES = Proxies(["10.0.0.0/8", "2001:db8:1::/48"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1:8080 ", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_an_address_is_read_with_its_trimmings(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


@pytest.mark.parametrize(
    "text", ["", "unknown", "_hidden", "192.0.2", "192.0.2.1, 192.0.2.2", "[", "::g", "\x00"]
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.2.3.4", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 2001:db8:1::7", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9, garbage, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("2001:db8:1::1", "203.0.113.9:1234", "203.0.113.9"),
        ("", "203.0.113.9", ""),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(
    peer: str, forwarded: str | None, client: str
) -> None:
    headers = {} if forwarded is None else {b"x-forwarded-for": forwarded.encode()}
    assert PROXIES.client_of(peer, headers) == client


@given(st.text())
def test_whoever_is_no_proxy_cannot_name_another_client(forwarded: str) -> None:
    headers = {b"x-forwarded-for": forwarded.encode("utf-8", "surrogatepass")}
    assert PROXIES.client_of("192.0.2.1", headers) == "192.0.2.1"


@given(st.text())
def test_behind_a_proxy_what_the_client_wrote_itself_does_not_count(spoofed: str) -> None:
    headers = {b"x-forwarded-for": spoofed.encode("utf-8", "surrogatepass") + b", 203.0.113.9"}
    assert PROXIES.client_of("10.0.0.1", headers) == "203.0.113.9"


@pytest.mark.parametrize(
    ("scheme", "peer", "said", "is_https"),
    [
        ("https", "192.0.2.1", None, True),
        ("http", "192.0.2.1", "https", False),
        ("http", "10.0.0.1", "HTTPS", True),
        ("http", "10.0.0.1", "https, https", True),
        ("http", "10.0.0.1", "https, http", False),
        ("http", "10.0.0.1", None, False),
    ],
)
def test_only_a_trusted_proxy_vouches_for_https(
    scheme: str, peer: str, said: str | None, is_https: bool
) -> None:
    headers = {} if said is None else {b"x-forwarded-proto": said.encode()}
    assert PROXIES.is_https(scheme, peer, headers) is is_https


def test_an_address_is_within_networks_of_its_own_kind() -> None:
    networks = parse_networks(["192.0.2.1", "198.51.100.7/24"])
    assert is_within("192.0.2.1", networks)
    assert is_within("::ffff:198.51.100.200", networks)
    assert not is_within("192.0.2.2", networks)
    assert not is_within("2001:db8::1", networks)
    assert not is_within("", networks)


def test_ipv6_clients_are_counted_by_their_network() -> None:
    assert rate_limit_key("2001:db8:0:1::1") == rate_limit_key("2001:db8:0:1:ffff::2")
    assert rate_limit_key("2001:db8:0:1::1") != rate_limit_key("2001:db8:0:2::1")
    assert rate_limit_key("192.0.2.1") != rate_limit_key("192.0.2.2")
