"""Right in itself, impossible in the present state (409)."""

from __future__ import annotations

from typing import Any

from kanca.errors.families import Conflict


class BuiltInEndpoint(Conflict):
    """The endpoint is built in, and this cannot be done to it."""

    code = "built_in_endpoint"


class EndpointExists(Conflict):
    """An endpoint with this id exists, or existed, already."""

    code = "endpoint_exists"


class ChangedMeanwhile(Conflict):
    """It was changed since it was looked at; look again."""

    code = "changed_meanwhile"


class SlugTaken(Conflict):
    """Another endpoint has this slug."""

    code = "slug_taken"


class SecretRequired(Conflict):
    """The endpoint has no secret, and without one it can verify nothing."""

    code = "secret_required"


class WorkflowExists(Conflict):
    """There is a workflow with this id already."""

    code = "workflow_exists"


class WorkflowInUse(Conflict):
    """Endpoints use the workflow."""

    code = "workflow_in_use"


class CredentialInUse(Conflict):
    """Workflows or subscriptions use the credential."""

    code = "credential_in_use"


class SubscriptionExists(Conflict):
    """Another subscription has this id."""

    code = "subscription_exists"
    title = "Subscription exists"


class ChallengeFailed(Conflict):
    """The receiver has not echoed the token of the challenge."""

    code = "challenge_failed"
    title = "Challenge failed"


class DeliveryOpen(Conflict):
    """The delivery has not ended."""

    code = "delivery_open"
    title = "Delivery open"


class ReplayOver(Conflict):
    """The replay has ended."""

    code = "replay_over"
    title = "Replay over"


class EventIdTaken(Conflict):
    """Another event was published with this id."""

    code = "event_id_taken"
    title = "Event id taken"


class RunOver(Conflict):
    """The run has ended."""

    code = "run_over"


class RunUnfinished(Conflict):
    """The run has not ended."""

    code = "run_unfinished"


class RunNotFailed(Conflict):
    """Only a run that has failed can be tried again without saying from where."""

    code = "run_not_failed"


class WaitOver(Conflict):
    """The run does not wait at that node any more."""

    code = "wait_over"


class EventInUse(Conflict):
    """The event has resumed a run already, or its work is not one that is without a run."""

    code = "event_in_use"


class PayloadExpunged(Conflict):
    """What the event said was taken away: nothing can be made of it any more."""

    code = "payload_expunged"
    title = "Payload expunged"


class EventUnfinished(Conflict):
    """The work of the event, or of a replay of it, has not ended."""

    code = "event_unfinished"
    title = "Event unfinished"


class EventGone(Conflict):
    """The event is older than the retention: what is left of it is not enough to do its work again."""

    code = "event_gone"
    title = "Event gone"


class JobOver(Conflict):
    """The job has ended."""

    code = "job_over"
    title = "Job over"


class NoPublicUrl(Conflict):
    """`KANCA_PUBLIC_URL` is not set, so nobody could use an address of this server."""

    code = "no_public_url"


class WorkflowNotPublished(Conflict):
    """No version of the workflow is published, so that no run can start."""

    code = "workflow_not_published"


class SchemaTooNew(Conflict):
    """A newer Kanca has taken away what this one may need: run that version, or restore a backup."""

    code = "schema_too_new"


class OlderVersionRuns(Conflict):
    """An older Kanca is running, which needs what would be taken away."""

    code = "older_version_runs"


class ConfigUnreadable(Conflict):
    """The stored config has what this version does not know: a newer one wrote it."""

    code = "config_unreadable"

    def __init__(self, detail: str = "", *, number: int | None = None, **facts: Any) -> None:
        """``number`` is that of the endpoint or subscription whose config it is."""
        super().__init__(detail, **facts)
        self.number = number
