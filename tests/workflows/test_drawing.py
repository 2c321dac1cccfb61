from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.ids import IdFactory, derived_id
from kanca.domain.status import RunStatus, StepStatus, WaitStatus
from kanca.domain.task import RunChange, Step
from kanca.domain.wait import Wait
from kanca.domain.workflow import Definition, Edge, Node
from kanca.workflows.drawing import draw_run, draw_workflow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = RunChange(IdFactory().new(), "w", 1, None, RunStatus.RUNNING, NOW)
FLOW = Definition(
    "w",
    "W",
    (Node("in", "WebhookTrigger"), Node("check", "Branch"), Node("end", "Log"), Node("no", "Log")),
    (Edge("in", "check"), Edge("check", "end", "true"), Edge("check", "no", "false")),
)
LINE = re.compile(
    r"    (?:"
    r'n\d+(?:\(\["(?P<start>[^"]*)"\]\)|\["(?P<node>[^"]*)"\])'
    r'|n\d+ (?:-->|==>)(?:\|"(?P<port>[^"]*)"\|)? n\d+'
    r"|classDef \w+ [\w:#,. -]+"
    r"|class n\d+(?:,n\d+)* \w+)"
)


def a_step(node_id: str, status: StepStatus = StepStatus.SUCCEEDED, **values: Any) -> Step:
    fields: dict[str, Any] = {
        "id": derived_id(RUN.id, node_id, str(values.get("iteration", 0))),
        "run_id": RUN.id,
        "node_id": node_id,
        "iteration": 0,
        "status": status,
        "port": "out" if status is StepStatus.SUCCEEDED else None,
        "input": None,
        "output": None,
        "error": None,
        "attempt_number": 1,
        "started_at": NOW,
        "finished_at": NOW + timedelta(milliseconds=1250),
    }
    return Step(**fields | values)


def a_wait(node_id: str, status: WaitStatus = WaitStatus.OPEN) -> Wait:
    due = NOW + timedelta(hours=24)
    return Wait(derived_id(RUN.id, node_id), RUN.id, 1, node_id, 0, "", "k", status, 1, NOW, due)


def classes(drawing: str) -> dict[str, str]:
    """The class of each node of the drawing."""
    found = re.findall(r"^    class (\S+) (\w+)$", drawing, re.MULTILINE)
    return {name: status for names, status in found for name in names.split(",")}


def test_a_workflow_is_drawn_with_ids_types_and_ports() -> None:
    assert draw_workflow(FLOW) == (
        "flowchart TD\n"
        '    n0(["in<br/>WebhookTrigger"])\n'
        '    n1["check<br/>Branch"]\n'
        '    n2["end<br/>Log"]\n'
        '    n3["no<br/>Log"]\n'
        "    n0 --> n1\n"
        '    n1 -->|"true"| n2\n'
        '    n1 -->|"false"| n3\n'
    )


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("tell-sales", "tell-sales"),
        ('a"]; click n0', "a#34;#93;#59; click n0"),
        ("<script>&#x;", "#60;script#62;#38;#35;x#59;"),
        ("`code`", "#96;code#96;"),
        ("__bold__", "#95;#95;bold#95;#95;"),
        ("- list", "#45; list"),
        ("1. list", "1#46; list"),
        ("a\nb\x00", "a#65533;b#65533;"),
        ("ödeme 😀", "#246;deme #128512;"),
    ],
)
def test_nothing_that_somebody_wrote_is_read_as_mermaid(text: str, label: str) -> None:
    drawing = draw_workflow(
        Definition("w", "W", (Node("a", text), Node("b", "Log")), (Edge("a", "b", text),))
    )
    assert drawing.splitlines()[1:] == [
        f'    n0(["a<br/>{label}"])',
        '    n1["b<br/>Log"]',
        f'    n0 -->|"{label}"| n1',
    ]


@given(
    st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), unique_by=lambda node: node[0]),
    st.text(min_size=1),
)
def test_every_line_of_any_drawing_is_of_a_known_form(nodes: list[tuple[str, str]], port: str) -> None:
    drawn = Definition(
        "w",
        "W",
        tuple(Node(*node) for node in nodes),
        tuple(Edge(a, b, port) for a, _ in nodes for b, _ in nodes),
    )
    for drawing in (draw_workflow(drawn), draw_run(drawn, RUN, [a_step(name) for name, _ in nodes], [])):
        first, *lines = drawing.removesuffix("\n").split("\n")
        assert first == "flowchart TD"
        for line in lines:
            found = LINE.fullmatch(line)
            assert found, line
            for label in found.groups():
                assert not label or re.fullmatch(r"(?:[A-Za-z0-9 _.:,-]|#\d+;|<br/>)+", label), line


def test_a_run_is_drawn_with_what_became_of_every_node() -> None:
    failed = a_step("check", StepStatus.FAILED, attempt_number=3, port="true")
    drawing = draw_run(FLOW, RUN, [a_step("in"), failed, a_step("no", StepStatus.SKIPPED)], [])

    assert classes(drawing) == {"n0": "succeeded", "n1": "failed", "n2": "running", "n3": "skipped"}
    assert '"check<br/>Branch<br/>failed, attempt 3<br/>2026-03-01 12:00:00Z, 1.250 s"' in drawing
    assert '"no<br/>Log<br/>skipped"' in drawing
    assert "n0 ==> n1" in drawing
    assert '    n1 ==>|"true"| n2' in drawing
    assert '    n1 -->|"false"| n3' in drawing


@pytest.mark.parametrize("status", [StepStatus.DEAD, StepStatus.CANCELLED])
def test_a_run_that_has_ended_is_nowhere(status: StepStatus) -> None:
    ended = replace(RUN, status=RunStatus.FAILED)
    drawing = draw_run(FLOW, ended, [a_step("in"), a_step("check", status)], [])
    assert classes(drawing) == {"n0": "succeeded", "n1": status, "n2": "not_reached", "n3": "not_reached"}
    assert '"end<br/>Log<br/>not reached"' in drawing


def test_a_run_that_has_just_begun_is_at_its_only_start() -> None:
    assert classes(draw_run(FLOW, RUN, [], []))["n0"] == "running"
    two = replace(FLOW, nodes=(*FLOW.nodes, Node("in2", "WebhookTrigger")))
    assert set(classes(draw_run(two, RUN, [], [])).values()) == {"not_reached"}


def test_a_run_waits_where_a_wait_is_open() -> None:
    waits = [a_wait("check"), a_wait("end", WaitStatus.CLAIMED)]
    drawing = draw_run(FLOW, replace(RUN, status=RunStatus.WAITING), [a_step("in")], waits)
    assert classes(drawing) == {"n0": "succeeded", "n1": "waiting", "n2": "not_reached", "n3": "not_reached"}
    assert "waiting since 2026-03-01 12:00:00Z<br/>until 2026-03-02 12:00:00Z" in drawing


def test_a_run_is_not_behind_a_node_that_has_not_ended_and_not_held_up_by_what_is_no_part_of_it() -> None:
    flow = Definition(
        "w",
        "W",
        tuple(Node(name, "Log") for name in ("in", "other", "a", "b", "both")),
        (Edge("in", "a"), Edge("in", "b"), Edge("a", "both"), Edge("b", "both"), Edge("other", "both")),
    )
    early = draw_run(flow, RUN, [a_step("in"), a_step("a")], [])
    late = draw_run(flow, RUN, [a_step("in"), a_step("a"), a_step("b")], [])
    assert [classes(early)[name] for name in ("n1", "n3", "n4")] == ["not_reached", "running", "not_reached"]
    assert classes(late)["n4"] == "running"


def test_the_iterations_of_a_loop_are_summed_up() -> None:
    steps = [
        a_step("check", iteration=1),
        a_step("check", iteration=2),
        a_step("check", StepStatus.FAILED, iteration=3),
        a_step("check", StepStatus.REPLACED, iteration=4),
    ]
    drawing = draw_run(FLOW, RUN, steps, [a_wait("check")])
    assert '"check<br/>Branch<br/>1 failed, 1 waiting, 2 succeeded"' in drawing
    assert classes(drawing)["n1"] == "failed"


def test_a_step_of_a_node_that_is_not_there_is_not_drawn() -> None:
    assert "gone" not in draw_run(FLOW, RUN, [a_step("gone")], [a_wait("gone")])
