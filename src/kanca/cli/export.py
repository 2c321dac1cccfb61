"""``kanca export``: what there is on a server, as a manifest that ``kanca apply`` reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.output import Output
from kanca.cli.server import Server, speaks_to_server
from kanca.domain.changing import Kind

if TYPE_CHECKING:
    from kanca.cli.actions import PresentWorkflow

_OF_TENANTS = (Kind.WORKFLOW, Kind.ENDPOINT, Kind.SUBSCRIPTION)


@speaks_to_server
def export(
    server: Server,
    output: Output,
    *,
    kind: Annotated[
        list[Kind], typer.Option(help="Only these kinds; may be repeated.", show_default=False)
    ] = [],  # noqa: B006 - Typer reads the default, nobody changes it
    id: Annotated[
        list[str],
        typer.Option(help="Only what has this id, slug or name; may be repeated.", show_default=False),
    ] = [],  # noqa: B006 - as above
    tenant: Annotated[
        str | None,
        typer.Option(help="Only workflows, endpoints and subscriptions with this label.", show_default=False),
    ] = None,
    portable: Annotated[
        bool,
        typer.Option(
            "--portable",
            help="For another server beside this one: leave out the ids of endpoints that have a slug, and the secrets"
            " that a server can make itself.",
        ),
    ] = False,
) -> None:
    """Write event types, credentials, workflows, endpoints and subscriptions as a manifest for `kanca apply`.

    No secret that Kanca keeps as one is in it: the first lines say which environment variables they are taken from.
    Headers and addresses of subscriptions are in it as they are.
    """
    from kanca.bodies.yaml import write_yaml
    from kanca.cli.exporting import manifest_of, variables_of
    from kanca.cli.present import CREDENTIALS, ENDPOINTS, EVENT_TYPES, SUBSCRIPTIONS, every

    kinds = set(kind) or set(Kind if tenant is None else _OF_TENANTS)
    of_tenant = {"tenant": tenant}
    endpoints = list(every(server, *ENDPOINTS)) if kinds & {Kind.ENDPOINT, Kind.SUBSCRIPTION} else []
    manifest = manifest_of(
        event_types=_named(every(server, *EVENT_TYPES), id, "name") if Kind.EVENT_TYPE in kinds else (),
        credentials=_named(every(server, *CREDENTIALS), id, "name") if Kind.CREDENTIAL in kinds else (),
        workflows=_workflows(server, id, of_tenant) if Kind.WORKFLOW in kinds else {},
        endpoints=[
            shown
            for shown in _named(endpoints, id, "slug", "webhook_id")
            if Kind.ENDPOINT in kinds and tenant in (None, shown["tenant"])
        ],
        subscriptions=_named(every(server, *SUBSCRIPTIONS, **of_tenant), id, "id")
        if Kind.SUBSCRIPTION in kinds
        else (),
        slugs={shown["webhook_id"]: shown["slug"] for shown in endpoints if shown["slug"]},
        is_portable=portable,
    )
    if output.as_json:
        output.show_data(manifest, str)
    else:
        typer.echo(
            "\n".join(_introduction(manifest, variables_of(manifest))) + "\n" + write_yaml(manifest), nl=False
        )


def _introduction(manifest: Mapping[str, Any], variables: Collection[str]) -> list[str]:
    lines = ["# What there is on a Kanca server, for `kanca apply`."]
    if variables:
        lines.append("# To be set where it is applied, each with the secret that it is named for:")
        lines += [f"#   {name}" for name in variables]
    with_headers = [each["id"] for each in manifest.get("subscriptions", ()) if "headers" in each]
    if with_headers:
        # Nobody can tell which of them are secret.
        lines.append("# With headers as they are, of which a credential would keep what is secret:")
        lines += [f"#   subscription {name}" for name in with_headers]
    return lines


def _workflows(
    server: Server, ids: Collection[str], of_tenant: Mapping[str, str | None]
) -> dict[str, PresentWorkflow]:
    from kanca.cli.present import WORKFLOWS, every, read_workflow

    listed = _named(every(server, *WORKFLOWS, **of_tenant), ids, "id")
    return {
        shown["id"]: found
        for shown in listed
        if (found := read_workflow(server, shown["id"])) is not None  # somebody may have deleted it meanwhile
    }


def _named(
    items: Iterator[Mapping[str, Any]] | list[Mapping[str, Any]], ids: Collection[str], *keys: str
) -> list[Mapping[str, Any]]:
    return [shown for shown in items if not ids or any(shown[key] in ids for key in keys)]
