from __future__ import annotations

import re
from pathlib import Path

import pytest

from kanca.cli.http import call
from kanca.cli.serve import start_line
from kanca.settings import load_settings
from tests.cli.conftest import Kanca
from tests.cli.running import RunningCommand


def test_the_start_line_tells_what_differs_and_no_secret() -> None:
    settings = load_settings(
        {
            "KANCA_DATABASE_URL": "postgresql://me:hidden@there/db",
            "KANCA_ADMIN_KEY": "hidden-hidden-hidden",
            "KANCA_WORKERS": "2",
            "KANCA_PROVIDERS": '{"acme": {"signatures": []}, "other": {}}',
        }
    )

    assert start_line(settings) == (
        "Kanca 0.1.0 starts: database_url=postgresql://me:***@there/db admin_key=*** "
        "gateways=1 workers=2 providers=acme,other"
    )


def test_it_says_where_it_is_and_an_interruption_ends_it_in_good_order(tmp_path: Path) -> None:
    options = ("--port", "0", "--database-url", "sqlite:///mine.db", "--workers", "0")
    with RunningCommand(tmp_path, "serve", *options) as server:
        said = server.wait_for("is ready: http://127.0.0.1:")
        ready = re.search(r"is ready: (\S+)\n", server.wait_for("\n" + said.splitlines()[-1]))
        assert ready
        assert call("GET", f"{ready[1]}/health/live", {}).is_success
        code = server.interrupt()

    assert said.startswith("Kanca 0.1.0 starts: database_url=sqlite:///mine.db port=0 gateways=1 workers=0\n")
    assert (tmp_path / "mine.db").exists()
    assert code == 0
    assert "Traceback" not in server.errors(), server.errors()


@pytest.fixture
def _logs_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the logs of the test process alone: they would go to a stream that ends with the call."""
    monkeypatch.setattr("kanca.telemetry.logs.configure_logs", lambda *_: None)


@pytest.mark.usefixtures("_logs_as_they_are")
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--host", "0.0.0.0"), "KANCA_ADMIN_KEY"),
        (("--gateways", "2"), "PostgreSQL"),
        (("--gateways", "0", "--workers", "0"), "nothing to run"),
        (("--database-url", "mysql://there"), "KANCA_DATABASE_URL"),
        (("--port", "70000"), "KANCA_PORT"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_line(
    kanca: Kanca, words: tuple[str, ...], complaint: str
) -> None:
    called = kanca("serve", *words, KANCA_SECRET_KEY="k" * 32)

    assert called.exit_code == 2
    assert complaint in called.stderr
    assert len(called.stderr.splitlines()) == 1


@pytest.mark.usefixtures("_logs_as_they_are")
def test_a_management_key_that_can_be_guessed_is_refused_in_a_line(kanca: Kanca) -> None:
    called = kanca("serve", KANCA_ADMIN_KEY="guess-me")

    assert called.exit_code == 2
    assert called.stderr.startswith("Error: KANCA_ADMIN_KEY: must have at least 16 characters")
    assert "guess-me" not in called.output


@pytest.mark.usefixtures("_logs_as_they_are")
def test_a_database_that_does_not_answer_is_a_line_as_well(kanca: Kanca) -> None:
    called = kanca("serve", "--database-url", "postgresql://me@127.0.0.1:1/db", KANCA_SECRET_KEY="k" * 32)

    assert called.exit_code == 6
    assert "database_unavailable" in called.stderr
