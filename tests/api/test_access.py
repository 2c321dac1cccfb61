"""Who may use the management API, decided purely."""

from __future__ import annotations

import pytest

from kanca.api.access import AccessRule, refusal

HERE = AccessRule(admin_key=None, is_bound_to_loopback=True)
KEYED = AccessRule(admin_key="the-key", is_bound_to_loopback=True)
HOST = (b"host", b"127.0.0.1:8000")


@pytest.mark.parametrize(
    "host", [b"127.0.0.1:8000", b"localhost:8000", b"localhost", b"[::1]:8000", b"127.8.8.8"]
)
def test_without_a_key_this_machine_may(host: bytes) -> None:
    assert refusal(HERE, "127.0.0.1", [(b"host", host)]) is None


@pytest.mark.parametrize("peer", ["10.0.0.5", "192.168.1.4", "::ffff:10.0.0.5", None, "not an address"])
def test_without_a_key_another_machine_may_not(peer: str | None) -> None:
    error = refusal(HERE, peer, [HOST])
    assert error is not None
    assert error.status == 403


@pytest.mark.parametrize(
    "host", [b"evil.example", b"evil.example:8000", b"127.0.0.1.evil.example", b"", b"localhost.evil.example"]
)
def test_a_rebinding_host_name_may_not(host: bytes) -> None:
    assert refusal(HERE, "127.0.0.1", [(b"host", host)]) is not None


@pytest.mark.parametrize(
    "host", [b"[", b"[::1", b"evil.example@127.0.0.1", b"127.0.0.1/evil", b"127.0.0.1:x", b"localhost\xff"]
)
def test_a_host_that_is_not_written_like_one_may_not(host: bytes) -> None:
    assert refusal(HERE, "127.0.0.1", [(b"host", host)]) is not None


def test_of_several_hosts_none_counts() -> None:
    evil = (b"host", b"evil.example")
    assert refusal(HERE, "127.0.0.1", [evil, HOST]) is not None
    assert refusal(HERE, "127.0.0.1", [HOST, evil]) is not None
    assert refusal(HERE, "127.0.0.1", []) is not None


def test_of_several_origins_each_counts() -> None:
    evil, own = (b"origin", b"https://evil.example"), (b"origin", b"http://127.0.0.1:8000")
    assert refusal(HERE, "127.0.0.1", [HOST, evil, own]) is not None


@pytest.mark.parametrize(
    "name",
    [
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-server", b"forwarded"),
        *(b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip"),
        *(b"x-cluster-client-ip", b"fastly-client-ip", b"fly-client-ip", b"x-envoy-external-address"),
    ],
)
def test_a_forwarded_request_may_not(name: bytes) -> None:
    assert refusal(HERE, "127.0.0.1", [HOST, (name, b"127.0.0.1")]) is not None


@pytest.mark.parametrize(
    "origin",
    [
        b"https://evil.example",
        b"null",
        b"http://127.0.0.1:9999",
        b"http://127.0.0.1:8000.evil.example",
        b"http://[",
    ],
)
def test_a_page_of_another_origin_may_not(origin: bytes) -> None:
    assert refusal(HERE, "127.0.0.1", [HOST, (b"origin", origin)]) is not None


def fetched(site: bytes, mode: bytes = b"no-cors", dest: bytes = b"image") -> list[tuple[bytes, bytes]]:
    """A request of a browser's that has no origin, as those for images have none."""
    return [HOST, (b"sec-fetch-site", site), (b"sec-fetch-mode", mode), (b"sec-fetch-dest", dest)]


@pytest.mark.parametrize("site", [b"cross-site", b"same-site", b"what-comes-next"])
@pytest.mark.parametrize(("mode", "dest"), [(b"no-cors", b"image"), (b"navigate", b"iframe")])
def test_what_a_page_of_another_site_loads_it_may_not(site: bytes, mode: bytes, dest: bytes) -> None:
    assert refusal(HERE, "127.0.0.1", fetched(site, mode, dest)) is not None


@pytest.mark.parametrize(
    "headers",
    [
        fetched(b"same-origin"),
        fetched(b"none", b"navigate", b"document"),
        fetched(b"cross-site", b"navigate", b"document"),
    ],
)
def test_who_types_the_address_or_follows_a_link_may(headers: list[tuple[bytes, bytes]]) -> None:
    assert refusal(HERE, "127.0.0.1", headers) is None


def test_a_page_of_its_own_origin_may() -> None:
    assert refusal(HERE, "127.0.0.1", [HOST, (b"origin", b"http://127.0.0.1:8000")]) is None


def test_bound_elsewhere_or_mounted_a_key_is_always_required() -> None:
    error = refusal(AccessRule(admin_key=None, is_bound_to_loopback=False), "127.0.0.1", [HOST])
    assert error is not None
    assert error.status == 401


def test_with_a_key_even_this_machine_must_show_it() -> None:
    error = refusal(KEYED, "127.0.0.1", [HOST])
    assert error is not None
    assert error.status == 401


@pytest.mark.parametrize("value", [b"Bearer the-key", b"bearer the-key"])
def test_the_key_opens_from_anywhere(value: bytes) -> None:
    assert refusal(KEYED, "203.0.113.9", [(b"host", b"hooks.example"), (b"authorization", value)]) is None


@pytest.mark.parametrize(
    "value", [b"Bearer wrong", b"Bearer ", b"Basic the-key", b"the-key", b"Bearer the-key-and-more"]
)
def test_a_wrong_key_does_not(value: bytes) -> None:
    error = refusal(KEYED, "127.0.0.1", [HOST, (b"authorization", value)])
    assert error is not None
    assert error.code == "unauthenticated"
