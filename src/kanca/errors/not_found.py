"""There is no such thing (404)."""

from __future__ import annotations

from kanca.errors.families import NotFound


class EndpointNotFound(NotFound):
    """There is no such endpoint."""

    code = "endpoint_not_found"


class EventNotFound(NotFound):
    """There is no such event."""

    code = "event_not_found"


class WorkflowNotFound(NotFound):
    """There is no such workflow, or no such version of it."""

    code = "workflow_not_found"


class ProviderNotFound(NotFound):
    """There is no such provider in the catalogue."""

    code = "provider_not_found"


class RunNotFound(NotFound):
    """There is no such run."""

    code = "run_not_found"


class WaitNotFound(NotFound):
    """The run has not waited at such a node."""

    code = "wait_not_found"


class CredentialNotFound(NotFound):
    """There is no such credential."""

    code = "credential_not_found"


class SubscriptionNotFound(NotFound):
    """There is no such subscription."""

    code = "subscription_not_found"
    title = "Subscription not found"


class DeliveryNotFound(NotFound):
    """There is no such delivery."""

    code = "delivery_not_found"
    title = "Delivery not found"


class ReplayNotFound(NotFound):
    """There is no such replay."""

    code = "replay_not_found"
    title = "Replay not found"


class AuditEntryNotFound(NotFound):
    """There is no such entry in the audit log."""

    code = "audit_entry_not_found"
    title = "Audit entry not found"


class EventTypeNotFound(NotFound):
    """There is no such event type."""

    code = "event_type_not_found"
    title = "Event type not found"


class JobNotFound(NotFound):
    """There is no job with this id."""

    code = "job_not_found"
    title = "Job not found"


class ApiKeyNotFound(NotFound):
    """There is no such key."""

    code = "api_key_not_found"


class DeadLetterNotFound(NotFound):
    """There is no such dead letter."""

    code = "dead_letter_not_found"
