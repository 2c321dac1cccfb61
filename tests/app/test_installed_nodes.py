from __future__ import annotations

from pathlib import Path

import pytest

from kanca.app.installed_nodes import add_installed_nodes
from kanca.errors import InvalidSetting
from kanca.workflows.nodes import built_in_registry

PACKAGE = """
from kanca.workflows.node_type import NodeType

async def run(step, config):
    return 1

ONE = NodeType(name="ShopOne", title="One", description="Gives one.", run=run, model=None)
NOTHING = 3

def add(nodes):
    @nodes.node("ShopTwo")
    async def two(step, config):
        return 2
"""


def install(directory: Path, monkeypatch: pytest.MonkeyPatch, *entries: str) -> None:
    """A package that is installed in a directory, with these entry points."""
    (directory / "shop_nodes.py").write_text(PACKAGE)
    known = directory / "shop_nodes-1.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-nodes\nVersion: 1\n")
    (known / "entry_points.txt").write_text("\n".join(["[kanca.nodes]", *entries, ""]))
    monkeypatch.syspath_prepend(str(directory))


def test_installed_packages_add_node_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "one = shop_nodes:ONE", "two = shop_nodes:add")
    registry = built_in_registry()

    for _ in range(2):
        add_installed_nodes(registry)

    found = {node_type.name: node_type for node_type in registry}
    assert found["ShopOne"].is_of_an_app
    assert found["ShopTwo"].is_of_an_app


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_module:X", "No module named"),
        ("shop_nodes:MISSING", "no attribute"),
        ("shop_nodes:NOTHING", "neither a NodeType"),
    ],
)
def test_a_broken_entry_point_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, why: str
) -> None:
    install(tmp_path, monkeypatch, f"broken = {value}")

    with pytest.raises(InvalidSetting) as caught:
        add_installed_nodes(built_in_registry())

    assert f"'broken' ({value})" in caught.value.detail
    assert why in caught.value.detail


def test_a_type_that_is_there_already_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "one = shop_nodes:ONE")
    registry = built_in_registry()
    registry.node("ShopOne")(lambda _step, _config: None)

    with pytest.raises(InvalidSetting, match="ShopOne"):
        add_installed_nodes(registry)
