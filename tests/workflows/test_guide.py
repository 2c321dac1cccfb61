"""What the guide shows works."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kanca.domain.task import Done, Retry
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.values import read_json
from tests.workflows.memory import World

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "workflows.md"


def example() -> dict[str, object]:
    found = re.search(r"```json\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    definition: dict[str, object] = json.loads(found[1])
    return definition


async def test_the_example_runs_as_it_stands() -> None:
    world = World(built_in_registry())
    event = world.event(b'{"id":"A-1","total":40}')
    store = world.dispatched(event)
    completion = await world.go_on(store, world.version(example()), event)
    assert isinstance(completion.disposition, Done)
    assert store.run is not None
    assert read_json(store.run.output or b"") == {"order": "A-1", "told": False}


@pytest.mark.parametrize("total", [b"1500", b"1500.5"])
async def test_a_big_order_of_the_example_goes_the_other_way(total: bytes) -> None:
    world = World(built_in_registry())
    event = world.event(b'{"id":"A-1","total":' + total + b',"customer":{"email":"a@example.com"}}')
    store = world.dispatched(event)
    completion = await world.go_on(store, world.version(example()), event)
    # There is no HTTP client here, so the request fails; it has eight attempts.
    assert isinstance(completion.disposition, Retry)
    assert store.step("is-big").port == "true"
