"""An endpoint's config is checked whole when it is saved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.endpoint import EndpointConfig, InvalidConfig
from kanca.domain.endpoint_config import read_config, show_config

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def test_an_empty_config_has_the_published_defaults() -> None:
    assert show_config(read_config({})) == {
        "authentication_required": True,
        "allowed_event_types": [],
        "max_payload_size": 1024,
        "rate_limit_per_minute": None,
        "webhook_timeout": 30,
        "allowed_methods": ["POST"],
        "enable_cors": True,
        "cors_origins": ["*"],
        "node_behavior": "auto",
        "allowed_ips": [],
        "dedupe": "auto",
        "dedupe_window_days": 7,
        "dedupe_include": [],
        "dedupe_exclude": [],
        "redact_fields": [],
        "response_wait": 0,
        "response_timeout_status": 202,
        "answer": None,
        "filter": None,
        "payload_retention_days": None,
        "indexed_fields": [],
        "provider_options": {},
        "provider_spec": None,
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("authentication_required", 1),
        ("allowed_event_types", "order.created"),
        ("allowed_event_types", [1]),
        ("allowed_event_types", ["order.*.created"]),
        ("allowed_event_types", ["*a*a*a*a*a*b"]),
        ("max_payload_size", 0),
        ("max_payload_size", "1024"),
        ("max_payload_size", True),
        ("rate_limit_per_minute", -1),
        ("webhook_timeout", 1.5),
        ("response_wait", 60.5),
        ("response_wait", -1),
        ("response_wait", float("nan")),
        ("response_wait", True),
        ("response_wait", "5"),
        ("response_timeout_status", 199),
        ("response_timeout_status", 600),
        ("response_timeout_status", 202.0),
        ("allowed_ips", ["10.0.0.0/99"]),
        ("allowed_methods", []),
        ("allowed_methods", "POST"),
        ("allowed_methods", ["POST", "HEAD"]),
        ("allowed_methods", ["OPTIONS"]),
        ("cors_origins", "*"),
        ("cors_origins", [""]),
        ("cors_origins", ["shop.example.com"]),
        ("cors_origins", ["https://shop.example.com/"]),
        ("cors_origins", ["https://*.example.com"]),
        ("cors_origins", ["https://user@example.com"]),
        ("cors_origins", ["https://shop.example.com:443"]),
        ("cors_origins", ["http://shop.example.com:80"]),
        ("cors_origins", ["https://dükkan.example.com"]),
        ("cors_origins", ["https://a.test\r\nx: y"]),
        ("cors_origins", ["null"]),
        ("dedupe", "always"),
        ("dedupe", []),
        ("node_behavior", "maybe"),
        ("dedupe_include", "id"),
        ("dedupe_include", ["a..b"]),
        ("dedupe_exclude", [f"a{n}" for n in range(33)]),
        ("dedupe_exclude", [".".join("a" * 17)]),
        ("dedupe_exclude", ["a" * 201]),
        ("dedupe_exclude", ["timestamp"]),
        ("answer", "OK"),
        ("filter", ""),
        ("filter", {}),
        ("provider_options", "sha256"),
        ("max_payload", 5),
    ],
)
def test_what_cannot_be_is_named(key: str, value: object) -> None:
    with pytest.raises(InvalidConfig) as caught:
        read_config({key: value, "enable_cors": False})
    assert [name for name, _ in caught.value.problems] == [key]


def test_methods_and_origins_are_kept_as_they_are_compared() -> None:
    config = read_config(
        {
            "allowed_methods": ["post", "PUT", "Post"],
            "cors_origins": ["HTTPS://Shop.Example.com", "http://[::1]:3000", "https://shop.example.com"],
        }
    )
    assert config.allowed_methods == ("POST", "PUT")
    assert config.cors_origins == ("https://shop.example.com", "http://[::1]:3000")


def test_the_fields_that_count_are_those_included_or_those_not_excluded() -> None:
    assert read_config({"dedupe": "content", "dedupe_exclude": ["a"]}).dedupe_exclude == ("a",)
    with pytest.raises(InvalidConfig) as caught:
        read_config({"dedupe": "content", "dedupe_include": ["a"], "dedupe_exclude": ["b"]})
    assert [name for name, _ in caught.value.problems] == ["dedupe_include", "dedupe_exclude"]


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(InvalidConfig) as caught:
        read_config({"dedupe": 1, "enable_cors": "yes", "colour": "red"})
    assert [name for name, _ in caught.value.problems] == ["colour", "dedupe", "enable_cors"]


@given(st.dictionaries(st.sampled_from(list(EndpointConfig.__dataclass_fields__)), json_values))
def test_a_config_is_read_or_refused_and_reads_back_as_itself(values: dict[str, object]) -> None:
    try:
        config = read_config(values)
    except InvalidConfig:
        return
    assert read_config(show_config(config)) == config
