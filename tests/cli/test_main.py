from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kanca.cli.main import EXIT_CODES, app, error_lines
from kanca.errors import InvalidSetting, InvalidWorkflow, KancaError, NotFound
from tests.cli.conftest import Kanca, ScriptedServer

NOUNS = (
    "endpoint",
    "event",
    "workflow",
    "run",
    "schedule",
    "credential",
    "dlq",
    "provider",
    "secret",
    "config",
)
SNAPSHOT = Path(__file__).with_name("help.txt")
HEAVY = {
    "aiohttp",
    "asyncio",
    "fastapi",
    "http.client",
    "msgspec",
    "pydantic",
    "rich",
    "sqlalchemy",
    "structlog",
}


def _errors(root: type[KancaError] = KancaError) -> list[type[KancaError]]:
    return [root, *(error for child in root.__subclasses__() for error in _errors(child))]


def test_the_help_is_as_it_was(kanca: Kanca) -> None:
    calls = [(), *((noun,) for noun in NOUNS)]
    shown = "\n".join(kanca(*words, "--help", COLUMNS="80").output for words in calls)

    assert shown == SNAPSHOT.read_text(), f"if that was meant, put into {SNAPSHOT.name}:\n{shown}"


def test_help_loads_nothing_heavy() -> None:
    probe = "import sys, kanca.cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=30
    )

    assert HEAVY.isdisjoint(loaded.stdout.split())


def test_the_module_is_the_command() -> None:
    called = subprocess.run(
        [sys.executable, "-m", "kanca", "--version"], capture_output=True, text=True, check=True, timeout=30
    )

    assert called.stdout == "kanca 0.1.0\n"


def test_an_error_is_one_line_on_standard_error_and_its_exit_code(
    kanca: Kanca, server: ScriptedServer
) -> None:
    server.will_answer(
        (404, {"detail": "There is no event evt_1.", "code": "event_not_found", "title": "Not found"})
    )

    called = kanca("event", "show", "evt_1", "--url", server.url, "--json")

    assert called.stdout == ""
    assert called.stderr == "Error: There is no event evt_1. (event_not_found)\n"
    assert called.exit_code == NotFound.exit_code


def test_debug_shows_where_an_error_came_from(kanca: Kanca) -> None:
    called = kanca("--debug", "config", "show", KANCA_PORT="many")

    assert "Traceback" in called.stderr
    assert called.exit_code == InvalidSetting.exit_code


def test_without_debug_no_traceback_is_shown(kanca: Kanca) -> None:
    called = kanca("config", "show", KANCA_PORT="many")

    assert "Traceback" not in called.stderr
    assert "KANCA_PORT" in called.stderr


def test_every_problem_is_a_line_unless_the_sentence_says_it() -> None:
    error = InvalidWorkflow(
        "The workflow has problems",
        problems=[
            {"node": "a", "code": "unknown_type", "message": "no such node type"},
            {"node": None, "message": "a cycle"},
        ],
    )

    assert error_lines(error) == [
        "Error: The workflow has problems (invalid_workflow)",
        "  - a: no such node type",
        "  - a cycle",
    ]
    said = InvalidSetting(
        "config.dedupe must be text", problems=[{"key": "config.dedupe", "message": "must be text"}]
    )
    assert error_lines(said) == ["Error: config.dedupe must be text (invalid_setting)"]


def test_what_a_server_says_cannot_steer_the_terminal() -> None:
    [line] = error_lines(KancaError("\x1b[2Jgone", code="\x07"))

    assert line == "Error: \\x1b[2Jgone (\\x07)"


def test_every_exit_code_is_documented() -> None:
    assert {error.exit_code for error in _errors()} <= EXIT_CODES.keys()


def test_an_interruption_has_its_exit_code(kanca: Kanca, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kanca.settings.load_settings", interrupted)

    assert kanca("config", "show").exit_code == 130


def test_every_command_says_what_it_does() -> None:
    groups = [app, *(group.typer_instance for group in app.registered_groups if group.typer_instance)]
    commands = [command for group in groups for command in group.registered_commands]

    assert len(commands) > 30
    assert all(command.callback and command.callback.__doc__ for command in commands)
