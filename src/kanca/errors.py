"""Every error that Kanca raises on purpose, as one tree.

    KancaError
    ├── BadRequest              400  not to be read as HTTP
    ├── MethodNotAllowed        405
    ├── PayloadTooLarge         413
    ├── InvalidInput            422  something given to us cannot be
    │   ├── InvalidRequest           a request to the API that has not the form of its route
    │   ├── InvalidSetting           a setting, at start
    │   ├── InvalidHandler           a handler, when it is registered
    │   ├── InvalidExpression        a CEL expression, when saved
    │   ├── InvalidNodeType          a node type, when it is registered
    │   ├── InvalidWorkflow          a workflow definition, when saved
    │   ├── InvalidProvider          a provider's spec, or an endpoint's options for it, when saved
    │   ├── InvalidSecret            a secret that its provider cannot have issued
    │   ├── InvalidEndpoint          an endpoint, or its config, when saved
    │   ├── InvalidCredential        a credential that its kind cannot be
    │   ├── InvalidSubscription      a subscription, when saved
    │   ├── InvalidEvent             an event that cannot be published
    │   ├── PlaceUnknown             where a tail shall go on is nowhere
    │   └── UnknownProvider          a provider that is not in the catalogue
    ├── Unauthenticated         401  no key, or a wrong one
    │   ├── TokenExpired             a portal token whose time is over
    │   ├── KeyExpired               an API key whose time is over
    │   ├── KeyRevoked               an API key that was taken back
    │   └── SessionOver              a session whose time is over, or whose key is
    ├── Forbidden               403  the key is right, the request is not allowed
    │   ├── NotForTenants            only an operator may do, or set, this
    │   ├── RoleNotAllowed           the key's role may not do this
    │   ├── BeyondOwnKey             a key would get more than the one it is made with
    │   ├── CsrfRefused              a change with a session, not proven to come from its own page
    │   └── ReadOnlyToken            a portal token that changes nothing
    ├── NotFound                404
    │   ├── EndpointNotFound
    │   ├── EventNotFound
    │   ├── WorkflowNotFound
    │   ├── ProviderNotFound
    │   ├── RunNotFound
    │   ├── WaitNotFound             the run has not waited at that node
    │   ├── CredentialNotFound
    │   ├── SubscriptionNotFound
    │   ├── DeliveryNotFound
    │   ├── ReplayNotFound
    │   ├── EventTypeNotFound
    │   ├── ApiKeyNotFound
    │   └── DeadLetterNotFound
    ├── Conflict                409  right in itself, impossible in the present state
    │   ├── BuiltInEndpoint          the endpoint came with Kanca
    │   ├── EndpointExists           another endpoint has, or had, the id
    │   ├── ChangedMeanwhile         somebody else changed it since it was looked at
    │   ├── SlugTaken                another endpoint has the slug
    │   ├── SecretRequired           the endpoint must verify, and has nothing to verify with
    │   ├── WorkflowExists           another workflow has the id
    │   ├── WorkflowInUse            endpoints use the workflow
    │   ├── CredentialInUse          workflows or subscriptions use the credential
    │   ├── SubscriptionExists       another subscription has the id
    │   ├── ChallengeFailed          the receiver has not echoed the token
    │   ├── DeliveryOpen             the delivery has not ended
    │   ├── ReplayOver               the replay has ended
    │   ├── EventIdTaken             another event was published with the id
    │   ├── RunOver                  the run has ended
    │   ├── RunUnfinished            the run has not ended
    │   ├── RunNotFailed             only what has failed can be tried again
    │   ├── WaitOver                 the run does not wait there any more
    │   ├── EventInUse               the event is for something else
    │   ├── NoPublicUrl              it is not known what senders know the server as
    │   ├── WorkflowNotPublished     no version of the workflow is published
    │   ├── SchemaTooNew             a newer Kanca has taken away what this one needs
    │   ├── OlderVersionRuns         an older Kanca needs what is to be taken away
    │   └── ConfigUnreadable         a newer Kanca has stored what this one does not know
    ├── TooManyRequests         429
    │   ├── CommitQueueFull          more requests wait for a commit than may
    │   ├── TooManyFailures          wrong keys from that address
    │   └── TooManyTails             a gateway has as many tails as it may
    ├── Unavailable             503  try again later
    │   ├── DatabaseUnavailable
    │   │   └── DiskFull             too little free disk, here or at the database
    │   ├── BacklogFull              too much work is waiting
    │   ├── CommitTimeout            the database did not answer in time; the commit may have happened
    │   └── ShuttingDown
    ├── ExpressionFailed             an expression that was valid failed on this input
    ├── TransformFailed              a subscription's transform makes no body of an event
    ├── AuthenticationFailed         what a delivery would prove itself with could not be had
    └── EgressError                  an outgoing request
        ├── EgressRefused            the guard forbids the address
        ├── EgressTimeout
        └── EgressFailed

An error carries a stable ``code``, facts, and a sentence in ``detail``. ``kanca.api.problems`` turns the tree into
``application/problem+json`` and ``kanca.cli`` turns it into exit codes. Codes never change their meaning. What an
ingest request is refused for is a value (``kanca.ingest.refusal``), not an exception: refusing is ordinary work there.
"""

from __future__ import annotations

from typing import Any, ClassVar


class KancaError(Exception):
    """Something went wrong inside Kanca."""

    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retry_after_s: ClassVar[int | None] = None
    """When it is worth trying again, where that is known."""

    def __init__(self, detail: str = "", **facts: Any) -> None:
        """``detail`` is a sentence for people (default: the class's docstring).

        ``facts`` are extra members of the problem body.
        """
        self.detail = detail or (type(self).__doc__ or self.title).splitlines()[0]
        self.facts = facts
        super().__init__(self.detail)


class BadRequest(KancaError):
    """The request cannot be read."""

    code = "bad_request"
    title = "Bad request"
    status = 400
    exit_code = 2


class MethodNotAllowed(KancaError):
    """The address does not take this method."""

    code = "method_not_allowed"
    title = "Method not allowed"
    status = 405
    exit_code = 2


class PayloadTooLarge(KancaError):
    """The body is larger than 1 MB."""

    code = "payload_too_large"
    title = "Body too large"
    status = 413
    exit_code = 2


class InvalidInput(KancaError):
    """What was given cannot be accepted."""

    code = "invalid_input"
    title = "Invalid input"
    status = 422
    exit_code = 2


class InvalidRequest(InvalidInput):
    """The request does not have the form that this route takes; `errors` says where and why."""

    code = "invalid_request"
    title = "Invalid request"


class InvalidSetting(InvalidInput):
    """A setting has a value that it cannot have."""

    code = "invalid_setting"
    title = "Invalid setting"


class InvalidHandler(InvalidInput):
    """The function cannot be registered as a handler."""

    code = "invalid_handler"
    title = "Invalid handler"


class InvalidExpression(InvalidInput):
    """The expression cannot be used."""

    code = "invalid_expression"
    title = "Invalid expression"


class InvalidNodeType(InvalidInput):
    """The function cannot be registered as a node type."""

    code = "invalid_node_type"
    title = "Invalid node type"


class InvalidWorkflow(InvalidInput):
    """The workflow definition has problems."""

    code = "invalid_workflow"
    title = "Invalid workflow"


class InvalidProvider(InvalidInput):
    """The provider's spec, or the endpoint's options for it, cannot be used."""

    code = "invalid_provider"
    title = "Invalid provider"


class InvalidSecret(InvalidInput):
    """The secret is not one that this provider issues."""

    code = "invalid_secret"
    title = "Invalid secret"


class InvalidEndpoint(InvalidInput):
    """The endpoint, or its config, cannot be like this."""

    code = "invalid_endpoint"
    title = "Invalid endpoint"


class InvalidCredential(InvalidInput):
    """The credential cannot be like this."""

    code = "invalid_credential"
    title = "Invalid credential"


class InvalidSubscription(InvalidInput):
    """The subscription cannot be saved as it is."""

    code = "invalid_subscription"
    title = "Invalid subscription"


class InvalidEvent(InvalidInput):
    """The event cannot be published as it is."""

    code = "invalid_event"
    title = "Invalid event"


class UnknownProvider(InvalidInput):
    """There is no such provider."""

    code = "unknown_provider"
    title = "Unknown provider"


class PlaceUnknown(InvalidInput):
    """No message of a tail of this server has that id."""

    code = "place_unknown"


class Unauthenticated(KancaError):
    """A key is required, and none or a wrong one was given."""

    code = "unauthenticated"
    title = "Authentication required"
    status = 401
    exit_code = 3


class TokenExpired(Unauthenticated):
    """The token's time is over; get a new one."""

    code = "token_expired"
    title = "Token expired"


class KeyExpired(Unauthenticated):
    """The key's time is over; get another one."""

    code = "key_expired"
    title = "Key expired"


class KeyRevoked(Unauthenticated):
    """The key was revoked; get another one."""

    code = "key_revoked"
    title = "Key revoked"


class SessionOver(Unauthenticated):
    """The session is over; sign in again."""

    code = "session_over"
    title = "Session over"


class Forbidden(KancaError):
    """The request is not allowed."""

    code = "forbidden"
    title = "Forbidden"
    status = 403
    exit_code = 3


class NotForTenants(Forbidden):
    """Who is confined to a tenant may not do this."""

    code = "not_for_tenants"
    title = "Not for tenants"


class RoleNotAllowed(Forbidden):
    """The key's role may not do this; `roles` says which may."""

    code = "role_not_allowed"
    title = "Not for this role"


class BeyondOwnKey(Forbidden):
    """No key can be given more than the key has that it is made with."""

    code = "beyond_own_key"
    title = "Beyond your own key"


class CsrfRefused(Forbidden):
    """With a session, changes come from Kanca's own pages, with the header `X-CSRF-Token`."""

    code = "csrf_refused"
    title = "Not from this site"


class ReadOnlyToken(Forbidden):
    """The token is for reading only."""

    code = "read_only_token"
    title = "Read-only token"


class NotFound(KancaError):
    """There is no such thing."""

    code = "not_found"
    title = "Not found"
    status = 404
    exit_code = 4


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


class Conflict(KancaError):
    """The present state does not allow this."""

    code = "conflict"
    title = "Conflict"
    status = 409
    exit_code = 5


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


class TooManyRequests(KancaError):
    """Too many requests."""

    code = "too_many_requests"
    title = "Too many requests"
    status = 429
    exit_code = 6


class TooManyFailures(TooManyRequests):
    """Too many wrong keys came from this address; wait as long as `Retry-After` says."""

    code = "too_many_failures"
    title = "Too many wrong keys"


class CommitQueueFull(TooManyRequests):
    """More requests wait to be stored than this process takes."""

    code = "commit_queue_full"
    retry_after_s = 60


class TooManyTails(TooManyRequests):
    """The gateway has as many tails as it may have (KANCA_TAIL_MAX)."""

    code = "too_many_tails"
    retry_after_s = 5


class Unavailable(KancaError):
    """The service cannot do this now; try again later."""

    code = "unavailable"
    title = "Service unavailable"
    status = 503
    exit_code = 6
    retry_after_s = 5


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached."""

    code = "database_unavailable"


class BacklogFull(Unavailable):
    """Too much work is waiting already."""

    code = "backlog_full"
    retry_after_s = 120


class DiskFull(DatabaseUnavailable):
    """There is too little free disk."""

    code = "disk_full"
    retry_after_s = 120


class CommitTimeout(Unavailable):
    """The database did not answer in time; whether the commit happened is not known."""

    code = "commit_timeout"


class ShuttingDown(Unavailable):
    """The process is shutting down."""

    code = "shutting_down"


class ExpressionFailed(KancaError):
    """The expression failed on this input."""

    code = "expression_failed"
    title = "Expression failed"


class TransformFailed(KancaError):
    """The subscription's transform makes no body of this event."""

    code = "transform_failed"
    title = "Transform failed"


class EgressError(KancaError):
    """An outgoing request did not work."""

    code = "egress_error"
    title = "Outgoing request failed"


class EgressRefused(EgressError):
    """The address may not be reached from here."""

    code = "egress_refused"


class EgressTimeout(EgressError):
    """The outgoing request took too long."""

    code = "egress_timeout"


class EgressFailed(EgressError):
    """The outgoing request failed."""

    code = "egress_failed"


class AuthenticationFailed(KancaError):
    """The credential of an outgoing request could not be had."""

    code = "authentication_failed"
    title = "Authentication failed"
