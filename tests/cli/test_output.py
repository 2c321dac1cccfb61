from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kanca.cli.output import details, page, plain, progress, table


def _shown(renderable: object) -> str:
    console = Console(width=200, markup=True)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


@given(st.text(st.characters()))
def test_no_text_can_steer_a_terminal(text: str) -> None:
    assert plain(text).isprintable()
    plain(text).encode()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (1.5, "1.5"),
        ("Kanca ↯ ı", "Kanca ↯ ı"),
        ("a\nb\x1b[0m\x9b", "a\\nb\\x1b[0m\\x9b"),
        ("\ud800", "\\ud800"),
        ({"a": ["\x1b", None]}, '{"a": ["\\u001b", null]}'),
    ],
)
def test_a_value_is_one_line(value: object, shown: str) -> None:
    assert plain(value) == shown


def test_a_table_has_a_row_an_item_and_takes_no_orders_from_it() -> None:
    shown = _shown(table([{"id": "1", "name": "[red]off[/red]"}, {"id": "2"}], "id", "name"))

    lines = [line.split() for line in shown.splitlines()]
    assert lines[0] == ["id", "name"]
    assert lines[2:] == [["1", "[red]off[/red]"], ["2", "–"]]


def test_in_a_table_an_instant_is_to_the_second_and_a_long_text_is_cut() -> None:
    shown = _shown(
        table([{"id": "i" * 70, "error": "e" * 70, "at": "2026-01-02T03:04:05.678901Z"}], "id", "error", "at")
    )

    assert shown.splitlines()[2].split() == ["i" * 70, "e" * 59 + "…", "2026-01-02", "03:04:05Z"]


def test_a_page_says_how_to_go_on_and_an_empty_one_that_it_is() -> None:
    assert "more: --cursor abc" in _shown(page("id")({"items": [{"id": 1}], "next_cursor": "abc"}))
    assert "more" not in _shown(page("id")({"items": [{"id": 1}], "next_cursor": None}))
    assert _shown(page("id")({"items": [], "next_cursor": None})).strip() == "none"
    assert "more: --cursor abc" in _shown(page("id")({"items": [], "next_cursor": "abc"}))


def test_one_thing_is_shown_with_all_that_is_known_of_it() -> None:
    shown = _shown(details({"id": "evt_1", "payload": {"a": {"b": "\x1b"}}, "text": "one\ntwo"}))

    assert [line.rstrip() for line in shown.splitlines()] == [
        "id       evt_1",
        "payload  {",
        '           "a": {',
        '             "b": "\\u001b"',
        "           }",
        "         }",
        "text     one",
        "         two",
    ]


def test_without_a_terminal_there_is_no_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(5), "Sending")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_progress_bar_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    assert list(progress(range(5), "Sending")) == [0, 1, 2, 3, 4]

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Sending" in captured.err
