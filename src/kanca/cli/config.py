"""``kanca config``: the settings as this process would read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from kanca.cli.output import Output, table
from kanca.cli.server import AsJson

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(name="config", help="The settings, and where they come from.", no_args_is_help=True)


@app.callback()
def config() -> None:
    """Keep `show` a command of its own, although it is the only one."""


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show every setting and where it comes from; secrets are masked."""
    from kanca.settings import PREFIX, load_settings, redacted, setting_sources

    sources = setting_sources()
    values = redacted(load_settings())
    rows = [
        {"setting": PREFIX + name.upper(), "value": value, "source": sources[name]}
        for name, value in values.items()
    ]
    Output(as_json).show_data({"settings": rows}, _for_people)


def _for_people(data: dict[str, Any]) -> RenderableType:
    """Of tables only their names."""
    rows = [
        {**row, "value": list(row["value"]) if isinstance(row["value"], dict) else row["value"]}
        for row in data["settings"]
    ]
    return table(rows, "setting", "value", "source")
