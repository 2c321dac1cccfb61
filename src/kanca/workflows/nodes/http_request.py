"""``HttpRequest``: asks another server, through the egress guard."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlencode, urlsplit

from pydantic import Field, field_validator, model_validator

from kanca.egress import EgressResponse
from kanca.workflows.config import Dynamic, DynamicText, NodeConfig, Scope
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import StepContext, StepFailed
from kanca.workflows.values import NotJson, read_json, write_json

IDEMPOTENCY_KEY = "Idempotency-Key"
RETRIED_STATUSES = frozenset({408, 425, 429, *range(500, 600)})
MAX_RETRY_AFTER = timedelta(hours=1)
MAX_EXCERPT_LENGTH = 300
_SLOW_CHARSETS = frozenset({"punycode", "idna"})
"""Made for host names: the time they take grows with the square of the text, and the server chooses what is used."""


class HttpRequestConfig(NodeConfig):
    """What to ask, and what is a good answer."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] = Field(
        "GET", description="The HTTP method."
    )
    url: DynamicText = Field(description="`https://…` or `http://…`; an expression when it starts with `=`.")
    query: dict[str, DynamicText] = Field(
        default_factory=dict,
        description="Parameters that are added to the URL, encoded as they must be. Values that start with `=` are"
        " expressions.",
    )
    headers: dict[str, DynamicText] = Field(
        default_factory=dict, description="Headers. Values that start with `=` are expressions."
    )
    json_body: Dynamic | None = Field(
        None,
        alias="json",
        description="The body, sent as JSON. Texts in it that start with `=` are expressions, at any depth.",
    )
    body: DynamicText | None = Field(
        None,
        description="The body, sent as it is; an expression when it starts with `=`. Not together with `json`.",
    )
    expected_status: list[Annotated[int, Field(ge=100, le=599)]] = Field(
        default_factory=list,
        description="Statuses that are a success. Empty: 200 to 299. Of the others, 408, 425, 429 and 500 to 599 are"
        " retried; the rest, redirects too, fail the node at once.",
    )
    max_response_size: int = Field(
        1024, ge=1, le=4096, description="KB of the response's body; a larger one fails the node."
    )

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, url: DynamicText) -> DynamicText:
        if url.literal is not None and not url.literal.lower().startswith(("http://", "https://")):
            raise ValueError("a URL starts with https:// or http://, an expression with =")
        return url

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if self.body is not None and self.json_body is not None:
            raise ValueError("a request has either json or body")
        return self


async def run(step: StepContext, config: HttpRequestConfig) -> dict[str, Any]:
    """Send the request, and give the response."""
    scope = step.scope
    body, content_type = _body(config, scope)
    headers = {name: value.text(scope) for name, value in config.headers.items()}
    _add(headers, IDEMPOTENCY_KEY, step.call_id)
    if content_type is not None:
        _add(headers, "Content-Type", content_type)
    response = await step.http.request(
        config.method,
        _url(config, scope),
        headers=headers,
        body=body,
        # A little less than the node has, so that the failure says what took so long.
        timeout=step.timeout * 0.95,
        max_response_bytes=config.max_response_size * 1024,
    )
    if response.truncated:
        raise StepFailed(
            "response_too_large", f"the response is larger than {config.max_response_size} KB", is_final=True
        )
    expected = config.expected_status or range(200, 300)
    if response.status not in expected:
        raise _refused(response)
    return {"status": response.status, "headers": dict(response.headers)} | _content(response)


def _url(config: HttpRequestConfig, scope: Scope) -> str:
    url = config.url.text(scope)
    if not config.query:
        return url
    try:
        parts = urlsplit(url)
        added = urlencode({name: value.text(scope) for name, value in config.query.items()})
    except ValueError:
        raise StepFailed("bad_url", "the URL or its query cannot be written", is_final=True) from None
    return parts._replace(query=f"{parts.query}&{added}" if parts.query else added).geturl()


def _body(config: HttpRequestConfig, scope: Scope) -> tuple[bytes | None, str | None]:
    """The bytes to send, and what they are."""
    if config.json_body is not None:
        return write_json(config.json_body.evaluate(scope)), "application/json"
    if config.body is None:
        return None, None
    try:
        return config.body.text(scope).encode(), "text/plain; charset=utf-8"
    except UnicodeEncodeError:
        raise StepFailed("bad_body", "the body has half of a character in it", is_final=True) from None


def _add(headers: dict[str, str], name: str, value: str) -> None:
    """Set a header unless the config does."""
    if name.lower() not in {given.lower() for given in headers}:
        headers[name] = value


def _content(response: EgressResponse) -> dict[str, Any]:
    """The body under the name of what it is: ``json``, ``body`` (text) or ``body_base64``."""
    media_type, charset = _media_type(response.headers)
    if media_type == "application/json" or media_type.endswith("+json"):
        try:
            return {"json": read_json(response.body)}
        except NotJson:
            pass
    try:
        if codecs.lookup(charset).name not in _SLOW_CHARSETS:
            return {"body": response.body.decode(charset)}
    except (ValueError, LookupError):
        pass
    return {"body_base64": base64.b64encode(response.body).decode()}


def _media_type(headers: Mapping[str, str]) -> tuple[str, str]:
    media_type, *parameters = headers.get("content-type", "").lower().split(";")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "charset":
            return media_type.strip(), value.strip('" ')
    return media_type.strip(), "utf-8"


def _refused(response: EgressResponse) -> StepFailed:
    excerpt = response.body[:MAX_EXCERPT_LENGTH].decode(errors="replace").strip()
    return StepFailed(
        "http_status",
        f"the server answered {response.status}" + (f": {excerpt}" if excerpt else ""),
        is_final=response.status not in RETRIED_STATUSES,
        retry_after=_retry_after(response.headers),
    )


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """What the server asks for (RFC 9110, section 10.2.3), at most MAX_RETRY_AFTER."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(timedelta(seconds=min(int(asked[:10]), 10**6)), MAX_RETRY_AFTER)
    try:
        # Its own clock says how far away its date is.
        delay = parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return min(max(delay, timedelta(0)), MAX_RETRY_AFTER)


HTTP_REQUEST = NodeType(
    name="HttpRequest",
    title="HTTP request",
    description="Sends an HTTP request; private and metadata addresses are refused unless `KANCA_EGRESS_ALLOW` names"
    " them, and redirects are not followed. The output is `{status, headers}` (names in lower case) with the body"
    " as `json`, `body` (text) or `body_base64`. Every attempt carries the same `Idempotency-Key`, the step's call id.",
    run=run,
    model=HttpRequestConfig,
)
