"""What was given cannot be accepted (422)."""

from __future__ import annotations

from kanca.errors.families import InvalidInput


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
