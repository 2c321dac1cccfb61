from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.egress.addresses import carried_by, is_forbidden

PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
]
PUBLIC_V6 = [
    "2606:4700::1111",
    "2a00:1450:4001:80f::200e",
    "2001:4860:4860::8888",
    "2400::1",
    "2620:4f:8000::1",
]

FORBIDDEN = {
    "169.254.169.254": "metadata",
    "169.254.170.2": "metadata",
    "100.100.100.200": "metadata",
    "168.63.129.16": "metadata",
    "fd00:ec2::254": "metadata",
    "fd20:ce::254": "metadata",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "fd12:3456::1": "private",
    "fec0::1": "private",
    "169.254.0.1": "link_local",
    "fe80::1": "link_local",
    "fe80::1%eth0": "link_local",
    "100.64.0.1": "shared",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "ff02::1": "multicast",
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "::": "unspecified",
    "192.0.0.1": "reserved",
    "192.88.99.1": "reserved",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "198.18.0.1": "benchmarking",
    "2001:2::1": "benchmarking",
    "192.0.2.1": "documentation",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "2001:db8::1": "documentation",
    "3fff::1": "documentation",
    "100::1": "reserved",
    "2001:10::1": "reserved",
    "4000::1": "reserved",
    "5f00::1": "reserved",
    "::7f00:1": "reserved",
    "::ffff:0:127.0.0.1": "reserved",
    "64:ff9b:1::1": "private",
}


@pytest.mark.parametrize("address", PUBLIC + PUBLIC_V6)
def test_a_public_address_may_be_connected_to(address: str) -> None:
    assert is_forbidden(ip_address(address)) is None


@pytest.mark.parametrize(("address", "reason"), FORBIDDEN.items())
def test_other_addresses_may_not_and_the_reason_is_named(address: str, reason: str) -> None:
    assert is_forbidden(ip_address(address)) == reason


def mapped(inner: IPv4Address) -> IPv6Address:
    return IPv6Address(0xFFFF << 32 | int(inner))


def nat64(inner: IPv4Address) -> IPv6Address:
    return IPv6Address(int(IPv6Address("64:ff9b::")) | int(inner))


def six_to_four(inner: IPv4Address) -> IPv6Address:
    return IPv6Address(0x2002 << 112 | int(inner) << 80 | 1)


def teredo_client(inner: IPv4Address) -> IPv6Address:
    public_server = int(IPv4Address("65.54.227.120"))
    return IPv6Address(0x20010000 << 96 | public_server << 64 | int(inner) ^ 0xFFFFFFFF)


def teredo_server(inner: IPv4Address) -> IPv6Address:
    public_client = int(IPv4Address("8.8.8.8")) ^ 0xFFFFFFFF
    return IPv6Address(0x20010000 << 96 | int(inner) << 64 | public_client)


CARRIERS = [mapped, nat64, six_to_four, teredo_client, teredo_server]


@pytest.mark.parametrize("carrier", CARRIERS)
@given(inner=st.ip_addresses(v=4))
def test_an_address_that_carries_another_is_what_it_carries(carrier: object, inner: IPv4Address) -> None:
    assert callable(carrier)
    outer = carrier(inner)
    assert inner in list(carried_by(outer))
    assert is_forbidden(outer) == is_forbidden(inner)


@given(st.ip_addresses())
def test_every_address_gets_an_answer(address: IPv4Address | IPv6Address) -> None:
    reason = is_forbidden(address)
    assert reason is None or reason.replace("_", "").isalpha()


@given(st.ip_addresses(v=4))
def test_nothing_that_python_knows_as_private_is_public_here(address: IPv4Address) -> None:
    if is_forbidden(address) is None:
        assert not address.is_private
        assert not address.is_multicast
        assert not address.is_reserved
        assert not address.is_link_local
