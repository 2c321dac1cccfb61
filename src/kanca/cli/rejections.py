"""How refused requests are shown: what was wrong in full, since that is what they are listed for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kanca.cli.output import plain, shown_instant

if TYPE_CHECKING:
    from rich.console import RenderableType

_INDENT = "    "


def rejection_page(*, is_full: bool) -> Callable[[Any], RenderableType]:
    """A page of rejections: a few lines each; ``is_full`` adds headers and the beginning of the body."""

    def form(answered: Any) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        lines = [line for item in answered["items"] for line in _lines(item, is_full=is_full)]
        shown = [Text(line) for line in lines or ["none"]]
        if answered.get("next_cursor"):
            shown.append(Text(f"more: --cursor {plain(answered['next_cursor'])}", style="dim"))
        return Group(*shown)

    return form


def _lines(item: Mapping[str, Any], *, is_full: bool) -> Iterator[str]:
    request = item.get("request") or {}
    many = f"  {item['count']} times" if item.get("count", 1) > 1 else ""
    when, status, code = shown_instant(plain(item["occurred_at"])), plain(item["status"]), plain(item["code"])
    yield f"{when}  {status} {code}  {plain(item['client'])}{many}"
    yield _INDENT + plain(item["detail"])
    if request:
        size = f"  {plain(request['body_bytes'])} bytes" if "body_bytes" in request else ""
        yield f"{_INDENT}{plain(request.get('method'))} {plain(request.get('path'))}{size}"
    if is_full:
        yield from (f"{_INDENT}{plain(name)}: {plain(value)}" for name, value in request.get("headers", ()))
        yield from (_INDENT + plain(line) for line in request.get("body", "").splitlines())
