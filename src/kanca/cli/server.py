"""The running server that most commands speak to."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Concatenate, ParamSpec
from urllib.parse import quote, urlencode

import typer

from kanca.cli.http import Answer, call, split_url
from kanca.cli.output import Output
from kanca.errors import Unauthenticated

P = ParamSpec("P")

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="KANCA_URL",
        help="The server's address. Default: where `kanca serve` would listen.",
        show_default=False,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar=["KANCA_KEY", "KANCA_ADMIN_KEY"],
        help="The management key, or an API key.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print plain JSON.")]


@dataclass(frozen=True, slots=True)
class Server:
    """The management API of a server at ``url``."""

    url: str
    key: str | None

    def get(self, *path: str, **query: object) -> Answer:
        """Read. ``path`` are the segments behind the address; of ``query`` what is None is left out."""
        return self._ask("GET", path, query)

    def post(self, *path: str, body: object = None, **query: object) -> Answer:
        """Do, or make."""
        return self._ask("POST", path, query, body)

    def put(self, *path: str, body: object) -> Answer:
        """Change."""
        return self._ask("PUT", path, {}, body)

    def delete(self, *path: str) -> Answer:
        """Delete."""
        return self._ask("DELETE", path, {})

    def address(self, path: Sequence[str], query: Mapping[str, object]) -> str:
        """The whole address; what of ``query`` is None is left out, a list is given as often as it is long."""
        given = {name: value for name, value in query.items() if value is not None}
        address = "/".join([self.url.rstrip("/"), *(quote(segment, safe="") for segment in path)])
        return f"{address}?{urlencode(given, doseq=True)}" if given else address

    def headers(self, accepted: str) -> dict[str, str]:
        """The headers of every request."""
        headers = {"Accept": accepted, "User-Agent": "kanca-cli"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return headers

    def _ask(
        self, method: str, path: tuple[str, ...], query: dict[str, object], body: object = None
    ) -> Answer:
        """Raises the error that the server answered with, Unavailable when there is no server."""
        headers = self.headers("application/json")
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = call(method, self.address(path, query), headers, content)
        if answer.status == 401 and not self.key:
            raise Unauthenticated("The server wants a key: give --key, or set KANCA_ADMIN_KEY.")
        if not answer.is_success:
            raise answer.refusal()
        return answer


def find_server(url: str | None, key: str | None) -> Server:
    """The server at ``url`` with ``key``; what is None is taken from the settings.

    Raises InvalidSetting, InvalidInput.
    """
    if url is None or key is None:
        from kanca.settings import load_settings  # takes as long as all the rest of a command

        settings = load_settings()
        url = url or local_address(settings.host, settings.port)
        key = key or (settings.admin_key.get_secret_value() if settings.admin_key else None)
    split_url(url)
    return Server(url, key)


def local_address(host: str, port: int) -> str:
    """Where a server that listens on ``host`` is reached from this machine."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def speaks_to_server(command: Callable[Concatenate[Server, Output, P], None]) -> Callable[..., None]:
    """Give a command the options ``--url``, ``--key`` and ``--json``, and the server and output that they mean."""

    @wraps(command)
    def with_server(*args: Any, url: str | None, key: str | None, as_json: bool, **options: Any) -> None:
        command(find_server(url, key), Output(as_json), *args, **options)

    signature = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, default, annotation in (("url", None, Url), ("key", None, Key), ("as_json", False, AsJson))
    ]
    # Typer reads the options off the signature: the command's own, without server and output, and then these.
    parameters = [*list(signature.parameters.values())[2:], *added]
    with_server.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # functions have it
    with_server.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_server
