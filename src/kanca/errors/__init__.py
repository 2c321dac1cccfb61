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
    │   ├── AuditEntryNotFound
    │   ├── EventTypeNotFound
    │   ├── JobNotFound
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
    │   ├── PayloadExpunged          what the event said was taken away
    │   ├── EventUnfinished          the event's work has not ended
    │   ├── EventGone                too little is left of the event
    │   ├── JobOver                  the job has ended
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

The kinds stand in ``families``; below each, its errors in a module of their own.

An error carries a stable ``code``, facts, and a sentence in ``detail``. ``kanca.api.problems`` turns the tree into
``application/problem+json`` and ``kanca.cli`` turns it into exit codes. Codes never change their meaning. What an
ingest request is refused for is a value (``kanca.ingest.refusal``), not an exception: refusing is ordinary work there.
"""

from __future__ import annotations

from kanca.errors.conflicts import (
    BuiltInEndpoint,
    ChallengeFailed,
    ChangedMeanwhile,
    ConfigUnreadable,
    CredentialInUse,
    DeliveryOpen,
    EndpointExists,
    EventGone,
    EventIdTaken,
    EventInUse,
    EventUnfinished,
    JobOver,
    NoPublicUrl,
    OlderVersionRuns,
    PayloadExpunged,
    ReplayOver,
    RunNotFailed,
    RunOver,
    RunUnfinished,
    SchemaTooNew,
    SecretRequired,
    SlugTaken,
    SubscriptionExists,
    WaitOver,
    WorkflowExists,
    WorkflowInUse,
    WorkflowNotPublished,
)
from kanca.errors.failures import (
    AuthenticationFailed,
    EgressError,
    EgressFailed,
    EgressRefused,
    EgressTimeout,
    ExpressionFailed,
    TransformFailed,
)
from kanca.errors.families import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidInput,
    KancaError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from kanca.errors.invalid import (
    InvalidCredential,
    InvalidEndpoint,
    InvalidEvent,
    InvalidExpression,
    InvalidHandler,
    InvalidNodeType,
    InvalidProvider,
    InvalidRequest,
    InvalidSecret,
    InvalidSetting,
    InvalidSubscription,
    InvalidWorkflow,
    PlaceUnknown,
    UnknownProvider,
)
from kanca.errors.not_allowed import (
    BeyondOwnKey,
    CsrfRefused,
    KeyExpired,
    KeyRevoked,
    NotForTenants,
    ReadOnlyToken,
    RoleNotAllowed,
    SessionOver,
    TokenExpired,
)
from kanca.errors.not_found import (
    ApiKeyNotFound,
    AuditEntryNotFound,
    CredentialNotFound,
    DeadLetterNotFound,
    DeliveryNotFound,
    EndpointNotFound,
    EventNotFound,
    EventTypeNotFound,
    JobNotFound,
    ProviderNotFound,
    ReplayNotFound,
    RunNotFound,
    SubscriptionNotFound,
    WaitNotFound,
    WorkflowNotFound,
)
from kanca.errors.not_now import (
    BacklogFull,
    CommitQueueFull,
    CommitTimeout,
    DatabaseUnavailable,
    DiskFull,
    ShuttingDown,
    TooManyFailures,
    TooManyTails,
)

__all__ = [
    "ApiKeyNotFound",
    "AuditEntryNotFound",
    "AuthenticationFailed",
    "BacklogFull",
    "BadRequest",
    "BeyondOwnKey",
    "BuiltInEndpoint",
    "ChallengeFailed",
    "ChangedMeanwhile",
    "CommitQueueFull",
    "CommitTimeout",
    "ConfigUnreadable",
    "Conflict",
    "CredentialInUse",
    "CredentialNotFound",
    "CsrfRefused",
    "DatabaseUnavailable",
    "DeadLetterNotFound",
    "DeliveryNotFound",
    "DeliveryOpen",
    "DiskFull",
    "EgressError",
    "EgressFailed",
    "EgressRefused",
    "EgressTimeout",
    "EndpointExists",
    "EndpointNotFound",
    "EventGone",
    "EventIdTaken",
    "EventInUse",
    "EventNotFound",
    "EventTypeNotFound",
    "EventUnfinished",
    "ExpressionFailed",
    "Forbidden",
    "InvalidCredential",
    "InvalidEndpoint",
    "InvalidEvent",
    "InvalidExpression",
    "InvalidHandler",
    "InvalidInput",
    "InvalidNodeType",
    "InvalidProvider",
    "InvalidRequest",
    "InvalidSecret",
    "InvalidSetting",
    "InvalidSubscription",
    "InvalidWorkflow",
    "JobNotFound",
    "JobOver",
    "KancaError",
    "KeyExpired",
    "KeyRevoked",
    "MethodNotAllowed",
    "NoPublicUrl",
    "NotForTenants",
    "NotFound",
    "OlderVersionRuns",
    "PayloadExpunged",
    "PayloadTooLarge",
    "PlaceUnknown",
    "ProviderNotFound",
    "ReadOnlyToken",
    "ReplayNotFound",
    "ReplayOver",
    "RoleNotAllowed",
    "RunNotFailed",
    "RunNotFound",
    "RunOver",
    "RunUnfinished",
    "SchemaTooNew",
    "SecretRequired",
    "SessionOver",
    "ShuttingDown",
    "SlugTaken",
    "SubscriptionExists",
    "SubscriptionNotFound",
    "TokenExpired",
    "TooManyFailures",
    "TooManyRequests",
    "TooManyTails",
    "TransformFailed",
    "Unauthenticated",
    "Unavailable",
    "UnknownProvider",
    "WaitNotFound",
    "WaitOver",
    "WorkflowExists",
    "WorkflowInUse",
    "WorkflowNotFound",
    "WorkflowNotPublished",
]

# Wherever one stands, it is known as ``kanca.errors.X``: in the causes that are stored, and in tracebacks.
for _name in __all__:
    globals()[_name].__module__ = __name__
