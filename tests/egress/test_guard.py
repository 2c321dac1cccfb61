from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.egress.guard import EgressGuard
from kanca.errors import EgressRefused, InvalidSetting


def refusal_of(url: str, *allow: str) -> EgressRefused:
    with pytest.raises(EgressRefused) as caught:
        EgressGuard(allow).checked_url(url)
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/a?b=c",
        "http://hooks.example.com:8080/",
        "HTTPS://Hooks.Example.com",
        "https://example.com./",
        "https://a_b.example.com/",
        "https://bücher.example/ü",
        "http://8.8.8.8/",
        "http://[2606:4700::1111]/",
        "https://123.example.com/",
    ],
)
def test_ordinary_urls_are_accepted(url: str) -> None:
    assert EgressGuard().checked_url(url).host


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1/", "loopback"),
        ("http://[::1]/", "loopback"),
        ("http://[::ffff:127.0.0.1]/", "loopback"),
        ("http://[::ffff:7f00:1]/", "loopback"),
        ("http://[64:ff9b::7f00:1]/", "loopback"),
        ("http://[2002:7f00:1::]/", "loopback"),
        ("http://[fe80::1%25eth0]/", "link_local"),
        ("http://169.254.169.254/latest/meta-data/", "metadata"),
        ("http://[::ffff:169.254.169.254]/", "metadata"),
        ("http://[fd00:ec2::254]/", "metadata"),
        ("http://10.0.0.1:8080/", "private"),
        ("http://0.0.0.0/", "unspecified"),
        ("http://2130706433/", "bad_host"),
        ("http://0x7f000001/", "bad_host"),
        ("http://0x7f.1/", "bad_host"),
        ("http://127.1/", "bad_host"),
        ("http://0177.0.0.1/", "bad_host"),
        ("http://017700000001/", "bad_host"),
        ("http://0/", "bad_host"),
        ("http://127.0.0.1./", "bad_host"),
        ("http://127.0.0.1../", "bad_host"),
        ("http://①②⑦.0.0.1/", "loopback"),
        ("http://127。0。0。1/", "loopback"),
        ("http://good.example@127.0.0.1/", "has_credentials"),
        ("http://user:password@example.com/", "has_credentials"),
        ("http://:password@example.com/", "has_credentials"),
        ("http://good.example\\@127.0.0.1/", "bad_url"),
        ("http://127.0.0.1\\.good.example/", "bad_url"),
        ("http://good.example#@127.0.0.1/", None),
        ("http://good.example /", "bad_url"),
        (" http://good.example/", "bad_url"),
        ("http://good.example/\r\nHost: evil", "bad_url"),
        ("http://good\t.example/", "bad_url"),
        ("http://good.example:99999/", "bad_url"),
        ("http://[::1/", "bad_url"),
        ("http://a..example/", "bad_host"),
        ("http://*.example/", "bad_host"),
        ("http://-a.example/", "bad_host"),
        ("http://" + "a" * 64 + ".example/", "bad_host"),
        ("http:///path", "bad_host"),
        ("http:good.example", "bad_host"),
        ("ftp://good.example/", "bad_scheme"),
        ("file:///etc/passwd", "bad_scheme"),
        ("gopher://good.example/", "bad_scheme"),
        ("//good.example/", "bad_scheme"),
        ("good.example", "bad_scheme"),
        ("", "bad_scheme"),
        ("http://good.example/" + "a" * 9000, "bad_url"),
        ("http://good.example/\ud800", "bad_url"),
    ],
)
def test_urls_that_hide_where_they_lead_are_refused(url: str, reason: str | None) -> None:
    if reason is None:
        assert EgressGuard().checked_url(url).host == "good.example"
        return
    refused = refusal_of(url)
    assert refused.code == "egress_refused"
    assert refused.facts["reason"] == reason


def test_a_refused_address_is_named() -> None:
    refused = refusal_of("http://10.0.0.1/")
    assert refused.detail == "10.0.0.1 is at 10.0.0.1, which is not allowed: private"
    assert refused.facts["address"] == "10.0.0.1"


def test_a_range_allows_its_addresses_and_no_others() -> None:
    guard = EgressGuard(("10.1.0.0/16", "fd00:1::/32", "192.168.0.7"))
    for allowed in ("10.1.2.3", "fd00:1::5", "192.168.0.7", "::ffff:10.1.2.3", "8.8.8.8"):
        assert guard.is_refused(ip_address(allowed)) is None, allowed
    for refused in ("10.2.0.1", "fd00:2::1", "192.168.0.8", "127.0.0.1"):
        assert guard.is_refused(ip_address(refused)) is not None, refused


def test_a_host_name_allows_the_addresses_it_has_and_not_those_of_others() -> None:
    guard = EgressGuard(("Internal.Example.", "localhost"))
    assert guard.is_refused(ip_address("10.0.0.1"), "internal.example") is None
    assert guard.is_refused(ip_address("10.0.0.1"), "INTERNAL.example.") is None
    assert guard.is_refused(ip_address("127.0.0.1"), "localhost") is None
    assert guard.is_refused(ip_address("10.0.0.1"), "other.example") == "private"
    assert guard.is_refused(ip_address("10.0.0.1"), "sub.internal.example") == "private"
    assert guard.is_refused(ip_address("10.0.0.1")) == "private"


@pytest.mark.parametrize("metadata", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"])
def test_metadata_is_allowed_only_by_its_very_address(metadata: str) -> None:
    address = ip_address(metadata)
    wide = EgressGuard(("169.254.0.0/16", "fc00::/7", "0.0.0.0/0", "::/0", "internal.example"))
    assert wide.is_refused(address, "internal.example") == "metadata"
    exact = EgressGuard(("169.254.169.254", "fd00:ec2::254/128"))
    assert exact.is_refused(address) is None


@pytest.mark.parametrize(
    "entry",
    ["10.0.0.1/8", "10.0.0.0/33", "http://example.com", "a b", "", "*.example.com", "127.1", "1.2.3.4.5"],
)
def test_an_entry_that_allows_nothing_is_an_error(entry: str) -> None:
    with pytest.raises(InvalidSetting, match="egress_allow"):
        EgressGuard((entry,))


def test_without_ports_all_may_be_connected_to_and_with_some_no_others() -> None:
    assert EgressGuard().checked_url("https://good.example:8443/").port == 8443
    guard = EgressGuard(("10.0.0.1",), ports=("443", "8443"))
    for url in ("https://good.example/", "http://good.example:443/", "https://10.0.0.1:8443/"):
        assert guard.checked_url(url).port in (443, 8443)
    for url in ("http://good.example/", "https://good.example:22/", "http://10.0.0.1:6379/"):
        with pytest.raises(EgressRefused) as caught:
            guard.checked_url(url)
        assert caught.value.facts["reason"] == "bad_port"


@pytest.mark.parametrize("port", ["", "0", "-1", "65536", "https", "80-90", "4.3", "٤٤٣", " 443"])
def test_a_port_that_is_none_is_an_error(port: str) -> None:
    with pytest.raises(InvalidSetting, match="egress_ports"):
        EgressGuard(ports=("443", port))


@given(st.text(max_size=40) | st.text(max_size=30).map("http://{}".format))
def test_any_text_is_a_url_or_refused(url: str) -> None:
    try:
        parsed = EgressGuard().checked_url(url)
    except EgressRefused:
        return
    assert parsed.scheme in ("http", "https")
    assert parsed.host
    assert parsed.user is None
