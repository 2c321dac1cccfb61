"""What the settings add to the catalogue is known everywhere, or nothing starts."""

from __future__ import annotations

from typing import Any

import pytest

from kanca.app.own_providers import catalogue_of
from kanca.app.serving import check
from kanca.errors import InvalidSetting
from kanca.settings import Settings

SIGNATURE = {"scheme": "hmac", "header": "X-Acme"}


def test_providers_of_the_settings_stand_beside_those_that_come_with_kanca() -> None:
    catalogue = catalogue_of(Settings(providers={"acme": {"signatures": [SIGNATURE]}}))

    assert {"acme", "stripe"} < {*catalogue.names}
    assert catalogue.get("acme").title == "acme"


@pytest.mark.parametrize(
    ("name", "spec", "place"),
    [
        ("acme", {"signatures": [SIGNATURE | {"algorithm": "md4"}]}, r"signatures\[0\].algorithm"),
        ("acme", {"signatures": [SIGNATURE], "colour": "red"}, "colour"),
        ("acme", {}, "signatures"),
        ("stripe", {"signatures": [SIGNATURE]}, "comes with Kanca"),
        ("acme", {"signatures": [SIGNATURE], "name": "other"}, "`other`"),
        ("Acme!", {"signatures": [SIGNATURE]}, "name"),
    ],
)
def test_nothing_starts_with_one_that_is_not_valid(name: str, spec: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"\[providers.{name}\].*{place}"):
        check(Settings(providers={name: spec}))
