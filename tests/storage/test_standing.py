from __future__ import annotations

import pytest

from kanca.storage.standing import Schema, Standing, older_than

EXPANDS = ["0001", "0002", "0003"]


@pytest.mark.parametrize(
    ("expanded_to", "contracted_to", "standing"),
    [
        (None, None, Standing.MISSING),
        ("0002", None, Standing.BEHIND),
        ("0003", None, Standing.CURRENT),
        ("0003", "c1", Standing.CURRENT),
        ("0009", None, Standing.AHEAD),
        ("0009", "c1", Standing.AHEAD),
        ("0009", "c2", Standing.TOO_NEW),
        ("0003", "c2", Standing.TOO_NEW),
    ],
)
def test_a_newer_schema_is_one_to_work_with_unless_it_was_contracted_beyond_what_is_known(
    expanded_to: str | None, contracted_to: str | None, standing: Standing
) -> None:
    assert Schema(expanded_to, contracted_to, EXPANDS, ["c1"]).standing is standing


@pytest.mark.parametrize(
    ("contracted_to", "pending"), [(None, ["c1", "c2"]), ("c1", ["c2"]), ("c2", []), ("c9", [])]
)
def test_what_was_not_contracted_yet_is_pending(contracted_to: str | None, pending: list[str]) -> None:
    assert list(Schema("0003", contracted_to, EXPANDS, ["c1", "c2"]).pending_contracts) == pending


def test_who_does_not_say_what_it_knows_is_older_and_who_knows_more_is_not() -> None:
    others = ["0003", "0009", "", "0001", "0002"]
    assert older_than("0003", others, EXPANDS) == ["", "0001", "0002"]
    assert older_than("0002", others, EXPANDS) == ["", "0001"]
    assert older_than("0001", others, EXPANDS) == [""]
