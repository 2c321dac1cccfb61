"""What subscriptions are created and changed with, as JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from kanca.api.fields import ChosenId, EventType, Name, Text


class Options(BaseModel):
    """What a user sets besides; what is left out is the default, or stays. What each may be, the domain decides."""

    filter: str | None = Field(
        None, description="CEL over `event`; where it is not true, the event is not sent."
    )
    transform: str | None = Field(
        None, description="CEL over `event`: what is sent as the body, in place of the envelope."
    )
    headers: dict[str, str] | None = Field(
        None, description="Headers that every delivery carries, at most 32."
    )
    timeout: float | None = Field(
        None, strict=True, description="Seconds for one attempt; null: what KANCA_DELIVERY_TIMEOUT says."
    )
    retry_config: dict[str, Any] | None = Field(
        None,
        description="`{max_retries, initial_delay, backoff_factor, max_delay}` (`max_retries` is attempts in all) or "
        "`{schedule: [seconds, …]}`; with `retry_on: any`, every failure is tried again. null: ten attempts in three "
        "days.",
    )
    rate_limit_per_second: float | None = Field(
        None, strict=True, description="Attempts a second; null: any number."
    )
    max_in_flight: int | None = Field(None, strict=True, description="Attempts at once; 10 when left out.")
    fifo: bool | None = Field(
        None, strict=True, description="Send one after the other, in the order of the events."
    )
    fifo_key: str | None = Field(
        None, description="CEL over `event`: only those with the same key wait for each other."
    )
    signature: str | None = Field(
        None, description="`standard`, `ed25519` or `hex`. It is decided when the subscription is created."
    )
    signature_header: str | None = Field(
        None, description="Of `hex`: the header; null: `X-Webhook-Signature`."
    )
    credential: str | None = Field(
        None, description="The name of a credential that requests carry besides the signature."
    )
    challenge: bool | None = Field(
        None, strict=True, description="Send nothing until the receiver has echoed a token."
    )

    def given_options(self) -> dict[str, Any]:
        """Those of them that the request has, null ones too."""
        return self.model_dump(include=set(Options.model_fields), exclude_unset=True)


class SubscriptionRequest(Options):
    """A subscription to be created."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"url": "https://partner.example/hooks", "events": ["order.*"]},
                {
                    "id": "partner-orders",
                    "url": "https://partner.example/hooks",
                    "events": ["*"],
                    "filter": "event.data.total >= 100",
                    "retry_config": {"schedule": [5, 60, 600]},
                    "challenge": True,
                },
            ]
        },
    )

    url: Text = Field(description="Where deliveries are sent, by http or https.")
    events: list[EventType] = Field(
        description="1 to 100 event types or wildcards: `order.created`, `order.*`, `*.created`, `*`."
    )
    id: ChosenId | None = Field(None, description="Left out, one is made.")
    name: Name | None = Field(None, description="What people call it; left out, the host of the URL.")
    tenant: ChosenId | None = Field(
        None,
        description="Only events with this label are sent; left out, `default`, or that of a portal token.",
    )
    secret: SecretStr | None = Field(
        None, max_length=1024, description="What deliveries are signed with; left out, one is made."
    )
    active: bool = Field(True, strict=True, description="An inactive one is sent nothing.")
    sources: list[Text] = Field(
        default_factory=list,
        description="Endpoints (`wh_…` ids or slugs) whose events it gets besides published ones; `operational`: "
        "events about webhooks themselves.",
    )


class SubscriptionChange(Options):
    """What changes of a subscription; whatever is left out stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"events": ["order.*"], "rate_limit_per_second": 5}]},
    )

    url: Text | None = Field(None, description="With `challenge`, the new one has to echo a token first.")
    events: list[EventType] | None = Field(None, description="All of them: the list is replaced whole.")
    name: Name | None = None
    active: bool | None = Field(None, strict=True, description="An inactive one is sent nothing.")
    sources: list[Text] | None = Field(None, description="All of them: the list is replaced whole.")
