"""``HttpRequest``: asks another server, through the egress guard."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlencode, urlsplit

from pydantic import Field, field_validator, model_validator

from kanca.domain.credential import (
    PLAIN_KINDS,
    Additions,
    Credential,
    additions,
    credential_not_found,
    secrets_of,
)
from kanca.domain.ids import CHOSEN_ID
from kanca.workflows.config import RESPONSE, DynamicResponse, DynamicText, NodeConfig, Scope
from kanca.workflows.masking import Mask
from kanca.workflows.message_fields import Body, Headers, JsonBody, check_bodies
from kanca.workflows.node_type import NodeType
from kanca.workflows.responses import refused, shown_response
from kanca.workflows.step import StepContext, StepFailed
from kanca.workflows.values import write_json

IDEMPOTENCY_KEY = "Idempotency-Key"
UNUSABLE_CREDENTIAL = "unusable_credential"
_HOST = re.compile(r"https?://[^/?#\\\s]+(?P<end>[/?#]?)", re.IGNORECASE)


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
    headers: Headers
    json_body: JsonBody = None
    body: Body = None
    credential: Annotated[str, Field(pattern=f"^{CHOSEN_ID.pattern}$")] | None = Field(
        None,
        description="The name of a credential that goes with the request, no expression, of any kind but `oauth2` and"
        " `mtls`. What it adds takes the place"
        " of entries of `headers` and `query` with the same name. The URL must have its host written out then: the"
        " credential goes to no other.",
    )
    expected_status: list[Annotated[int, Field(ge=100, le=599)]] = Field(
        default_factory=list,
        description="Statuses that are a success. Empty: 200 to 299. Of the others, 408, 425, 429 and 500 to 599 are"
        " retried; the rest, redirects too, fail the node at once.",
    )
    max_response_size: int = Field(
        1024, ge=1, le=4096, description="KB of the response's body; a larger one fails the node."
    )
    output: DynamicResponse | None = Field(
        None,
        description="What the output is instead of the whole response: any JSON value, in which texts that start with"
        " `=` are expressions. Besides the usual names they may speak of `response`.",
    )

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, url: DynamicText) -> DynamicText:
        if url.literal is not None and not url.literal.lower().startswith(("http://", "https://")):
            raise ValueError("a URL starts with https:// or http://, an expression with =")
        return url

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        check_bodies("a request", self.body, self.json_body)
        return self

    @model_validator(mode="after")
    def _says_who_gets_the_credential(self) -> Self:
        found = _HOST.match(self.url.prefix)
        if self.credential is not None and not (found and (found["end"] or self.url.literal is not None)):
            raise ValueError(
                "with a credential the URL begins with a host that is written out:"
                " ='https://api.example.com/' + …"
            )
        return self


async def run(step: StepContext, config: HttpRequestConfig) -> Any:
    """Send the request, and give the response, or what is made of it."""
    scope = step.scope
    added, mask = Additions(), Mask()
    if config.credential is not None:
        credential = await _credential(step, config.credential)
        added, mask = additions(credential), Mask(secrets_of(credential))
    body, content_type = _body(config, scope)
    headers = {name: value.text(scope) for name, value in config.headers.items()}
    _add(headers, IDEMPOTENCY_KEY, step.call_id)
    for name, value in step.trace_headers.items():
        _add(headers, name, value)
    if content_type is not None:
        _add(headers, "Content-Type", content_type)
    proven = {name.lower() for name in added.headers}
    response = await step.http.request(
        config.method,
        _url(config, scope, added),
        headers={name: value for name, value in headers.items() if name.lower() not in proven}
        | dict(added.headers),
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
        raise refused(response, mask)
    shown = shown_response(response, mask)
    return shown if config.output is None else config.output.evaluate({**scope, RESPONSE: shown})


async def _credential(step: StepContext, name: str) -> Credential:
    if step.credentials is None:  # nobody has any here
        raise credential_not_found(name)
    credential = await step.credentials.get(name)
    if credential.kind not in PLAIN_KINDS:  # it was another when the workflow was published
        raise StepFailed(
            UNUSABLE_CREDENTIAL,
            f"credential {name!r} is of the kind {credential.kind}, which nodes cannot send",
            is_final=True,
        )
    return credential


def _url(config: HttpRequestConfig, scope: Scope, added: Additions) -> str:
    url = config.url.text(scope)
    if not config.query and not added.query:
        return url
    try:
        parts = urlsplit(url)
        parameters = {name: value.text(scope) for name, value in config.query.items()} | dict(added.query)
        query = urlencode(parameters)
    except ValueError:
        raise StepFailed("bad_url", "the URL or its query cannot be written", is_final=True) from None
    return parts._replace(query=f"{parts.query}&{query}" if parts.query else query).geturl()


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


HTTP_REQUEST = NodeType(
    name="HttpRequest",
    title="HTTP request",
    description="Sends an HTTP request; private and metadata addresses are refused unless `KANCA_EGRESS_ALLOW` names"
    " them, and redirects are not followed. The output is `{status, headers}` (names in lower case) with the body"
    " as `json`, `body` (text) or `body_base64`; or else what `output` makes of that. Every attempt carries the same"
    " `Idempotency-Key`, the step's call id; `traceparent` and `tracestate` (W3C) carry the trace on.",
    run=run,
    model=HttpRequestConfig,
    sample={"status": 200, "headers": {}, "json": {}},
)
