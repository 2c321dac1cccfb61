"""The page of a provider says what its spec says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from kanca.providers import Catalogue, get_provider, issue, make_delivery, provider_names, sign
from scripts.own_provider import OWN_PROVIDER
from scripts.provider_pages import provider_pages

PAGES = {path.stem: text for path, text in provider_pages(Path("root")).items()}


@pytest.mark.parametrize("name", provider_names())
def test_a_page_says_all_that_one_needs(name: str) -> None:
    spec, page = get_provider(name), PAGES[name]

    assert page.startswith(f"# {spec.title}\n\n{spec.summary}\n\n**{spec.label.capitalize()}.**")
    assert f"kanca endpoint create --provider {name}" in page
    assert f"kanca provider verify {name}" in page
    assert f"kanca send {name}" in page
    assert f"[{spec.title}]({name}.md)" in PAGES["README"]
    for told in (*spec.notes, *spec.variants, *(handshake.name for handshake in spec.handshakes)):
        assert told.replace("|", r"\|") in page or told in page
    for step in spec.setup:
        assert step.replace("{url}", "`{url}`") in page
    assert "None" not in re.sub(r"```.*?```|`[^`]*`", "", page, flags=re.DOTALL)


def test_what_is_from_memory_is_marked() -> None:
    assert "It waits 3 s. *(from memory)*" in PAGES["zoom"]
    assert "It takes for success: 200 or 204 within 3 s.\n" in PAGES["zoom"]
    recalled = [name for name in provider_names() if get_provider(name).label == "recalled"]
    assert all("Try it before you rely on it." in PAGES[name] for name in recalled)


def test_how_a_provider_can_be_tried_depends_on_who_can_sign() -> None:
    assert "kanca send stripe --to {url} --secret 'whsec_…'" in PAGES["stripe"]
    assert "kanca provider keypair discord" in PAGES["discord"]
    assert "kanca send paypal --endpoint wh_…" in PAGES["paypal"]
    assert "--fetch" in PAGES["paypal"]
    assert "--fetch" not in PAGES["stripe"]


def test_a_secret_that_the_provider_brings_is_not_asked_for() -> None:
    assert "rotate-secret" not in PAGES["asana"]
    assert "rotate-secret" in PAGES["stripe"]


def test_the_spec_that_is_shown_as_an_example_can_be_used() -> None:
    [example] = re.findall(r"```toml\n(.*?)```", OWN_PROVIDER, re.DOTALL)

    spec = Catalogue({"acme": tomllib.loads(example)}).get("acme")

    delivery = make_delivery(spec, None, now=0)
    signed = sign(spec, None, issue(spec).signing, delivery.draft)
    assert delivery.event_type == "order.paid"
    assert signed.headers["X-Acme-Signature"].startswith("v1=")
