"""The fields in which configs of nodes say an HTTP message: headers, and a body in one of two ways."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kanca.workflows.config import Dynamic, DynamicText

Headers = Annotated[
    dict[str, DynamicText],
    Field(default_factory=dict, description="Headers. Values that start with `=` are expressions."),
]
JsonBody = Annotated[
    Dynamic | None,
    Field(
        alias="json",
        description="The body, sent as JSON. Texts in it that start with `=` are expressions, at any depth.",
    ),
]
Body = Annotated[
    DynamicText | None,
    Field(
        description="The body, sent as it is; an expression when it starts with `=`. Not together with `json`.",
    ),
]


def check_bodies(what: str, body: DynamicText | None, json_body: Dynamic | None) -> None:
    """Raise ValueError when ``what`` has two bodies."""
    if body is not None and json_body is not None:
        raise ValueError(f"{what} has either json or body")
