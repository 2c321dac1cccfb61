"""Who is at the other end, as far as trusted proxies say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.ingest.client import UNKNOWN, Proxies, is_within, parse_address, parse_networks, rate_limit_key

PROXIES = Proxies(["10.0.0.0/8", "2001:db8:1::/48"])

_PIECES = st.sampled_from(
    [
        "for=",
        "proto=",
        "by=",
        '"',
        "\\",
        ";",
        ",",
        " ",
        "203.0.113.9",
        "10.0.0.2",
        "[2001:db8::1]",
        ":80",
        "_x",
        "https",
    ]
)
HEADER = st.binary() | st.lists(_PIECES).map("".join).map(str.encode)
"""Anything, and what is near to a forwarding header."""
ADDRESS_LIST = st.lists(st.ip_addresses().map(str) | st.just("10.0.0.2")).map(",".join).map(str.encode)


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
        ("10.0.0.1", "203.0.113.9, garbage, 10.0.0.2", UNKNOWN),
        ("10.0.0.1", "203.0.113.9, unknown", UNKNOWN),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", " , 203.0.113.9,, ", "203.0.113.9"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1::1", "203.0.113.9:1234", "203.0.113.9"),
        ("", "203.0.113.9", ""),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(
    peer: str, forwarded: str | None, client: str
) -> None:
    headers = {} if forwarded is None else {b"x-forwarded-for": forwarded.encode()}
    assert PROXIES.client_of(peer, headers) == client


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("for=203.0.113.9", "203.0.113.9"),
        ('for="203.0.113.9:4711";proto=https', "203.0.113.9"),
        ("For=203.0.113.9:_port", "203.0.113.9"),
        ('for="[2001:db8:2::9]:4711"', "2001:db8:2::9"),
        ('for="[::ffff:203.0.113.9]"', "203.0.113.9"),
        ("for=1.1.1.1, for=203.0.113.9;by=10.2.3.4, for=10.2.3.4", "203.0.113.9"),
        ("for=10.0.0.3, for=10.0.0.2", "10.0.0.3"),
        ("for=203.0.113.9, for=unknown", UNKNOWN),
        ("for=203.0.113.9, for=_hidden", UNKNOWN),
        ("for=_hidden, for=203.0.113.9", "203.0.113.9"),
        ("for=203.0.113.9, proto=https", UNKNOWN),
        ("proto=https;host=kanca.test", "10.0.0.1"),
        ("", "10.0.0.1"),
        ('for=198.51.100.7;by=", for=203.0.113.9', UNKNOWN),
        ("203.0.113.9", UNKNOWN),
    ],
)
def test_a_proxy_may_say_it_in_forwarded(forwarded: str, client: str) -> None:
    headers = {b"forwarded": forwarded.encode()}
    assert PROXIES.client_of("10.0.0.1", headers) == client
    assert PROXIES.client_of("192.0.2.1", headers) == "192.0.2.1"


@pytest.mark.parametrize(
    ("x_forwarded_for", "forwarded", "client"),
    [
        ("203.0.113.9", "for=203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", 'for="203.0.113.9:80"', "203.0.113.9"),
        ("203.0.113.9", "proto=https", "203.0.113.9"),
        ("", "for=203.0.113.9", "203.0.113.9"),
        # only one of them knows who was before the second proxy
        ("203.0.113.9, 10.0.0.2", "for=10.0.0.2", "203.0.113.9"),
        ("10.0.0.2", "for=203.0.113.9, for=10.0.0.2", "203.0.113.9"),
        ("10.0.0.3", "for=10.0.0.2", UNKNOWN),
        ("203.0.113.9", "for=_hidden", UNKNOWN),
        ("unknown", "for=203.0.113.9", UNKNOWN),
        ("203.0.113.9", 'for="', UNKNOWN),
    ],
)
def test_where_both_are_there_both_have_to_say_the_same(
    x_forwarded_for: str, forwarded: str, client: str
) -> None:
    headers = {b"x-forwarded-for": x_forwarded_for.encode(), b"forwarded": forwarded.encode()}
    assert PROXIES.client_of("10.0.0.1", headers) == client


@given(
    spoofed=st.one_of(HEADER, ADDRESS_LIST), proxy_writes=st.sampled_from(["x-forwarded-for", "forwarded"])
)
def test_the_header_that_the_proxy_does_not_write_makes_nobody_somebody_else(
    spoofed: bytes, proxy_writes: str
) -> None:
    if proxy_writes == "forwarded":
        headers = {b"forwarded": b"for=203.0.113.9", b"x-forwarded-for": spoofed}
    else:
        headers = {b"forwarded": spoofed, b"x-forwarded-for": b"203.0.113.9"}
    assert PROXIES.client_of("10.0.0.1", headers) in {"203.0.113.9", UNKNOWN}


@given(HEADER)
def test_what_a_client_wrote_before_its_proxy_in_forwarded_does_not_count(spoofed: bytes) -> None:
    for own in (b"for=203.0.113.9", b'for="203.0.113.9:80";proto=http', b"by=10.0.0.1;for=203.0.113.9"):
        headers = {b"forwarded": spoofed + b", " + own}
        assert PROXIES.client_of("10.0.0.1", headers) in {"203.0.113.9", UNKNOWN}
        assert not PROXIES.is_https("http", "10.0.0.1", {b"forwarded": spoofed + b", for=a;proto=http"})


@given(forwarded=HEADER, x_forwarded_for=HEADER, proto=HEADER, peer=st.text() | st.just("10.0.0.1"))
def test_whatever_comes_nothing_raises(
    forwarded: bytes, x_forwarded_for: bytes, proto: bytes, peer: str
) -> None:
    headers = {b"forwarded": forwarded, b"x-forwarded-for": x_forwarded_for, b"x-forwarded-proto": proto}
    client = PROXIES.client_of(peer, headers)
    assert client in {peer, UNKNOWN} or parse_address(client) is not None
    PROXIES.is_https("http", peer, headers)
    rate_limit_key(client)


def test_an_endless_address_is_not_kept() -> None:
    headers = {b"x-forwarded-for": b"9" * 60_000}
    assert PROXIES.client_of("10.0.0.1", headers) == UNKNOWN
    assert is_within(UNKNOWN, parse_networks(["0.0.0.0/0", "::/0"])) is False


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


@pytest.mark.parametrize(
    ("forwarded", "x_forwarded_proto", "is_https"),
    [
        ("for=203.0.113.9;proto=https", None, True),
        ('for=203.0.113.9;proto="HTTPS"', None, True),
        ("proto=https, proto=https", None, True),
        ("proto=https, proto=http", None, False),
        ("proto=http, proto=https", None, False),
        ("for=198.51.100.7;proto=https, for=203.0.113.9", None, False),
        ("for=203.0.113.9", "https", True),
        ("for=203.0.113.9;proto=http", "https", False),
        ("for=203.0.113.9;proto=https", "http", False),
        ("for=203.0.113.9;proto=https", "https", True),
        ('proto=https;by="', None, False),
        ('proto=https;by="', "https", False),
        ("", "", False),
    ],
)
def test_https_is_what_all_say_who_say_anything(
    forwarded: str, x_forwarded_proto: str | None, is_https: bool
) -> None:
    headers = {b"forwarded": forwarded.encode()}
    if x_forwarded_proto is not None:
        headers[b"x-forwarded-proto"] = x_forwarded_proto.encode()
    assert PROXIES.is_https("http", "10.0.0.1", headers) is is_https
    assert PROXIES.is_https("http", "192.0.2.1", headers) is False


def test_an_address_is_within_networks_of_its_own_kind() -> None:
    networks = parse_networks(["192.0.2.1", "198.51.100.7/24"])
    assert is_within("192.0.2.1", networks)
    assert is_within("::ffff:198.51.100.200", networks)
    assert not is_within("192.0.2.2", networks)
    assert not is_within("2001:db8::1", networks)
    assert not is_within("", networks)


def test_ipv6_networks_have_their_own_addresses_and_no_others() -> None:
    networks = parse_networks(["2001:db8:1::/48", "2001:db8:2::7"])
    assert is_within("2001:db8:1:ffff::1", networks)
    assert is_within("[2001:DB8:2::7]:443", networks)
    assert is_within("2001:db8:2:0:0:0:0:7%eth0", networks)
    assert not is_within("2001:db8:3::1", networks)
    assert not is_within("2001:db8:2::8", networks)
    everything = parse_networks(["::/0"])
    assert is_within("2001:db8:3::1", everything)
    assert not is_within("198.51.100.7", everything)
    assert not is_within("::ffff:198.51.100.7", everything)


def test_an_ipv4_network_is_one_whichever_way_it_is_written() -> None:
    for text in ("198.51.100.0/24", "::ffff:198.51.100.0/120", "::ffff:c633:6464/120"):
        networks = parse_networks([text])
        for address in (
            "198.51.100.7",
            "::ffff:198.51.100.7",
            "::ffff:c633:6407",
            "[::ffff:198.51.100.7]:80",
        ):
            assert is_within(address, networks)
        assert not is_within("198.51.101.7", networks)
        assert not is_within("::198.51.100.7", networks)


def test_ipv6_clients_are_counted_by_their_network() -> None:
    assert rate_limit_key("2001:db8:0:1::1") == rate_limit_key("2001:db8:0:1:ffff::2")
    assert rate_limit_key("2001:db8:0:1::1") != rate_limit_key("2001:db8:0:2::1")
    assert rate_limit_key("192.0.2.1") != rate_limit_key("192.0.2.2")
