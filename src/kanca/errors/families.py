"""The root of the tree, and the kinds of errors: what a caller sees of each."""

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


class Unauthenticated(KancaError):
    """A key is required, and none or a wrong one was given."""

    code = "unauthenticated"
    title = "Authentication required"
    status = 401
    exit_code = 3


class Forbidden(KancaError):
    """The request is not allowed."""

    code = "forbidden"
    title = "Forbidden"
    status = 403
    exit_code = 3


class NotFound(KancaError):
    """There is no such thing."""

    code = "not_found"
    title = "Not found"
    status = 404
    exit_code = 4


class Conflict(KancaError):
    """The present state does not allow this."""

    code = "conflict"
    title = "Conflict"
    status = 409
    exit_code = 5


class TooManyRequests(KancaError):
    """Too many requests."""

    code = "too_many_requests"
    title = "Too many requests"
    status = 429
    exit_code = 6


class Unavailable(KancaError):
    """The service cannot do this now; try again later."""

    code = "unavailable"
    title = "Service unavailable"
    status = 503
    exit_code = 6
    retry_after_s = 5
