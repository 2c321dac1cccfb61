"""``kanca job``: long changes that workers do in small portions."""

from __future__ import annotations

from typing import Annotated

import typer

from kanca.cli.options import Cursor, Limit
from kanca.cli.output import Output, details, page
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(name="job", help="Long changes, done in small portions.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(metavar="ID", help="job_…")]
JOBS = ("api", "jobs")


@app.command("list")
@speaks_to_server
def list_jobs(server: Server, output: Output, *, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the jobs, the newest first."""
    answer = server.get(*JOBS, limit=limit, cursor=cursor)
    output.show(answer, page("id", "kind", "tenant", "status", "total", "counts", "created_at"))


@app.command()
@speaks_to_server
def show(server: Server, output: Output, job_id: JobId) -> None:
    """Show a job, and how far it has come."""
    output.show(server.get(*JOBS, job_id), details)


@app.command()
@speaks_to_server
def cancel(server: Server, output: Output, job_id: JobId) -> None:
    """End a job where it stands; what it did stays done."""
    output.show(server.post(*JOBS, job_id, "cancel"), details)
