from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.providers.template import Slot, parse_template

SLOTS = {"body": False, "header": True}


def test_a_template_is_literal_text_and_slots_in_order() -> None:
    assert parse_template("v0:{header:X-Time}:{body}", SLOTS) == (
        "v0:",
        Slot("header", "x-time"),
        ":",
        Slot("body", ""),
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{bod}", "unknown slot {bod}; there are body, header"),
        ("{body", "a brace that belongs to no slot"),
        ("body}", "a brace that belongs to no slot"),
        ("{{body}}", "a brace that belongs to no slot"),
        ("{header}", "{header} needs"),
        ("{header:}", "a brace that belongs to no slot"),
        ("{body:x}", "{body} takes no"),
    ],
)
def test_a_mistyped_template_is_an_error_that_says_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint.replace("{", r"\{").replace("}", r"\}")):
        parse_template(text, SLOTS)


@given(st.text())
def test_reading_a_template_either_loses_nothing_or_refuses(text: str) -> None:
    try:
        parts = parse_template(text, SLOTS)
    except ValueError:
        return
    written = (part if isinstance(part, str) else "{" + ":".join(filter(None, part)) + "}" for part in parts)
    assert "".join(written).lower() == text.lower()
