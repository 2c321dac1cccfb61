"""The workflow of the crash test: every way of waiting, side by side, with effects between them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

ITEMS = 3


def _node(node_id: str, kind: str, **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "config": config}


def _edges(*ways: str) -> list[dict[str, str]]:
    """``a.port > b > c`` as edges."""
    edges = []
    for way in ways:
        names = way.split(" > ")
        for source, target in pairwise(names):
            node, _, port = source.partition(".")
            edges.append({"from": node, "to": target.partition(".")[0], "port": port or "out"})
    return edges


def _sending(node_id: str, receiver: str, order: str = "=event.data.order", **more: str) -> dict[str, Any]:
    """A request that must be made, whatever crashes."""
    return _node(
        node_id,
        "HttpRequest",
        method="POST",
        url=f"{receiver}/{node_id}",
        json={"order": order, **more},
        output="=response.json.id",
        retry={"max_retries": 50, "initial_delay": 0.1, "max_delay": 1},
    )


def child(receiver: str) -> dict[str, Any]:
    """The workflow that the other one waits for."""
    nodes = [_node("in", "WebhookTrigger"), _sending("child", receiver)]
    return {"id": "crash-child", "nodes": nodes, "edges": _edges("in > child")}


def parent(receiver: str) -> dict[str, Any]:
    """The workflow whose workers are killed."""
    keys = {"event_key": "event.data.order", "wait_key": "event.data.order"}
    nodes = [
        _node("start", "WebhookTrigger"),
        _sending("reserve", receiver),
        _node("paid", "WebhookTrigger", node_behavior="trigger_only", **keys),
        _sending("charge", receiver, amount="=input.amount"),
        _node("later", "Delay", seconds="=event.data.delay"),
        _sending("label", receiver),
        _node("each", "ForEach", items="event.data.items", concurrency=2),
        _sending("pack", receiver, item="=input"),
        _node("sub", "SubWorkflow", workflow_id="crash-child", data={"order": "=event.data.order"}),
        _node(
            "ask",
            "Approval",
            title="May it go?",
            details={"order": "=event.data.order"},
            notify_url=f"{receiver}/ask",
            retry={"max_retries": 50, "initial_delay": 0.1, "max_delay": 1},
        ),
        _node("all", "Merge"),
        _node("tell", "SendWebhook", event_type="crash.done", event_id="=event.data.order"),
        _node(
            "result",
            "Transform",
            value={
                "order": "=event.data.order",
                "amount": "=steps.paid.amount",
                "charge": "=steps.charge",
                "label": "=steps.label",
                "pack": "=steps.each",
                "child": "=steps.sub",
                "decision": "=steps.ask.decision",
                "told": "=steps.tell.event_type",
            },
        ),
    ]
    edges = _edges(
        "start > reserve > paid > charge > all",
        "start > later > label > all",
        "start > each > sub > all",
        "each.item > pack",
        "start > ask.approved > all",
        "all > tell > result",
    )
    return {"id": "crash", "nodes": nodes, "edges": edges}


def expected(order: str) -> dict[str, Any]:
    """What a run comes to, whatever was killed."""
    return {
        "order": order,
        "amount": int(order[1:]),
        "charge": f"charge-{order}",
        "label": f"label-{order}",
        "pack": [f"pack-{order}-i{number}" for number in range(ITEMS)],
        "child": f"child-{order}",
        "decision": "approved",
        "told": "crash.done",
    }


def requests(order: str) -> set[tuple[str, str, str]]:
    """What a run asks of the recorder."""
    packed = {("pack", order, f"i{number}") for number in range(ITEMS)}
    return {(what, order, "") for what in ("reserve", "charge", "label", "child", "ask")} | packed
