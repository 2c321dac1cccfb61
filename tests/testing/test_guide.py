"""The tests that the guide shows pass."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from tests.guides import modules_of


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("test_handlers.py", 6),
        ("test_publishing.py", 3),
        ("test_workflows.py", 6),
        ("test_waiting.py", 4),
        ("test_receiver.py", 2),
    ],
)
async def test_the_tests_of_the_guide_pass(tmp_path: Path, path: str, count: int) -> None:
    with modules_of("testing.md", tmp_path) as modules:
        tests = [value for name, value in vars(modules[path]).items() if name.startswith("test_")]
        assert len(tests) == count
        for test in tests:
            outcome = test()
            if inspect.isawaitable(outcome):
                await outcome
