"""The pages that are generated from the code: ``make docs`` writes them, a test says when they are stale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from kanca.settings import FROM_FILES, PREFIX, Settings
from scripts.api_pages import errors_page, openapi_page
from scripts.cli_page import cli_page
from scripts.manifest_schema import manifest_schema
from scripts.metrics_page import metrics_page
from scripts.nodes_page import nodes_page
from scripts.permissions_page import permissions_page
from scripts.provider_pages import provider_pages

ROOT = Path(__file__).parents[1]

_KINDS: dict[Any, str] = {
    str: "text",
    str | None: "text",
    SecretStr | None: "secret",
    tuple[str, ...]: "list",
    int: "number",
    int | None: "number",
    float: "number",
    bool: "true or false",
    dict[str, dict[str, Any]]: "tables",
}


def pages() -> dict[Path, str]:
    """Every generated file and what has to stand in it."""
    return {
        ROOT / "docs" / "reference" / "cli.md": cli_page(),
        ROOT / "docs" / "reference" / "errors.md": errors_page(),
        ROOT / "docs" / "reference" / "manifest.schema.json": manifest_schema(),
        ROOT / "docs" / "reference" / "metrics.md": metrics_page(),
        ROOT / "docs" / "reference" / "nodes.md": nodes_page(),
        ROOT / "docs" / "reference" / "openapi.json": openapi_page(),
        ROOT / "docs" / "reference" / "permissions.md": permissions_page(),
        ROOT / "docs" / "reference" / "settings.md": settings_page(Settings),
        ROOT / "kanca.sample.toml": sample_file(Settings),
        **provider_pages(ROOT),
    }


def settings_page(settings: type[Settings]) -> str:
    """All settings as a table in Markdown."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_KINDS[field.annotation]} | {_shown(field)} | {field.description} |"
        for name, field in settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            f"Each is an environment variable, or without `{PREFIX}` and in small letters a line of `kanca.toml`",
            "([a sample](../../kanca.sample.toml)). The environment wins over the file.",
            "",
            "What holds secrets may stand in a file of its own, as Docker and Kubernetes hand them out:",
            f"`{PREFIX}SECRET_KEY_FILE=/run/secrets/key`, and so for "
            + ", ".join(f"`{PREFIX}{name.upper()}`" for name in FROM_FILES if name != "secret_key")
            + ".",
            "",
            "| setting | type | default | what it does |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def sample_file(settings: type[Settings]) -> str:
    """All settings as a ``kanca.toml`` that changes nothing: its lines are commented out, and show the defaults."""
    entries = [
        f"# {field.description}\n# {name} = {_toml(field)}\n" for name, field in settings.model_fields.items()
    ]
    return "\n".join(["# Copy to kanca.toml, and uncomment what shall differ from its default.\n", *entries])


def _shown(field: FieldInfo) -> str:
    return "unset" if _is_unset(field) else f"`{_toml(field)}`"


def _toml(field: FieldInfo) -> str:
    """The default as TOML writes it; for values as simple as these that is as JSON does."""
    return '"..."' if field.get_default() is None else json.dumps(field.get_default())


def _is_unset(field: FieldInfo) -> bool:
    return field.get_default() in (None, (), {})


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
