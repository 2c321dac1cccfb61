from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies.yaml import read_yaml, write_yaml
from kanca.cli.documents import (
    read_definition_file,
    read_definitions,
    read_documents,
    read_folder,
    read_placed_documents,
    with_text_ports,
)
from kanca.domain.workflow import read_definition, show_definition
from kanca.errors import InvalidInput

NAMES = st.sampled_from(["a", "b", "on", "no", "end"])
PORTS = st.sampled_from(["out", "true", "false", "yes", "1", "~"])
CONFIGS = st.dictionaries(
    st.text(),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4),
    max_size=3,
)
DEFINITIONS = st.fixed_dictionaries(
    {
        "id": NAMES,
        "name": st.text(min_size=1, max_size=200),
        "nodes": st.lists(
            st.fixed_dictionaries(
                {"id": NAMES, "type": st.text(min_size=1), "config": CONFIGS},
                optional={
                    "position": st.fixed_dictionaries({"x": st.integers(-99, 99), "y": st.floats(-9, 9)})
                },
            ),
            max_size=4,
        ),
        "edges": st.lists(st.fixed_dictionaries({"from": NAMES, "to": NAMES, "port": PORTS}), max_size=4),
    },
    optional={
        "description": st.text(max_size=2000),
        "settings": st.sampled_from([{"timeout": 60}, {"concurrency": {"limit": 1, "when_full": "skip"}}]),
    },
)


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        path = tmp_path / "file"
        path.write_text(text)
        return str(path)

    return write


@given(DEFINITIONS)
def test_a_definition_comes_back_as_it_went_as_json_and_as_yaml(values: dict[str, Any]) -> None:
    definition = read_definition(values)
    shown = show_definition(definition)
    [from_yaml] = read_yaml(write_yaml(shown).encode())
    assert json.dumps(from_yaml) == json.dumps(shown)
    assert read_definition(with_text_ports(from_yaml)) == definition
    assert read_definition(with_text_ports(json.loads(json.dumps(shown)))) == definition


def test_json_and_yaml_are_told_apart_by_what_is_in_them(written: Any) -> None:
    assert read_documents(written('\n {"a": [yes]}')) == [{"a": ["yes"]}]
    assert read_documents(written('{"a": true}')) == [{"a": True}]
    assert read_documents(written("a: true\n---\nb: 1\n")) == [{"a": True}, {"b": 1}]


def test_ports_without_quotes_are_texts(written: Any) -> None:
    name = written(
        "id: w\nnodes: []\nedges:\n- {from: a, to: b, port: true}\n- {from: a, to: c, port: false}\n- 5\n"
    )
    edges = read_definition_file(name)["edges"]
    assert [edge["port"] for edge in edges[:2]] == ["true", "false"]
    assert edges[2] == 5
    assert with_text_ports("text") == "text"
    assert with_text_ports({"edges": None}) == {"edges": None}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' stands there twice"),
        ("a: 1\na: 2", "the key 'a' stands there twice (line 2"),
        ('{"a": ', "as JSON: Expecting value"),
        ("a: &x 1\nb: *x", "aliases are not read"),
        ("", "no definition in it"),
        ("---\n---\n", "no definition in it"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(written: Any, text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_definitions(written(text))
    assert words in refused.value.detail


def test_commands_for_one_definition_take_one(written: Any) -> None:
    with pytest.raises(InvalidInput, match="has 2 documents"):
        read_definition_file(written("a: 1\n---\nb: 1"))


def test_items_know_the_line_that_they_stand_in(tmp_path: Path) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_text("kanca: 1\nendpoints:\n  - slug: a\n  - {slug: b}\n---\nendpoints: [{slug: c}]\n")
    first, second = read_placed_documents(str(file))
    assert [first.place_of("endpoints", 1), second.place_of("endpoints", 0)] == [f"{file}:4", f"{file}:6"]
    assert first.place_of("workflows", 0) == str(file)


def test_a_folder_is_all_yaml_and_json_in_it_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no file that ends in"):
        read_folder(str(tmp_path))
    for name in ("b.yaml", "a.json", "c.yml", "notes.md"):
        (tmp_path / name).touch()
    assert read_folder(str(tmp_path)) == [str(tmp_path / name) for name in ("a.json", "b.yaml", "c.yml")]
    assert read_folder("-") == ["-"]
