"""One HTTP request at a time, with the standard library.

Proxies of the environment are not used and redirects are not followed: what is asked is asked of that address.
"""

from __future__ import annotations

import http
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from kanca.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    KancaError,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from http.client import HTTPResponse

TIMEOUT_SECONDS = 60.0
"""The longest that a server may stay silent."""

_ERRORS: dict[int, type[KancaError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: TooManyRequests,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
_PROBLEM_MEMBERS = {"type", "title", "status", "detail"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def data(self) -> Any:
        """The body as JSON. Raises KancaError when it is none, or none that Python can read."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise KancaError(
                "The server's answer is no JSON that can be shown. Is this a Kanca server?"
            ) from None

    def refusal(self) -> KancaError:
        """The error that a status other than 2xx stands for, as its problem body tells it.

        Its facts are the further members of the problem, and the server's ``code``.
        """
        kind = _ERRORS.get(self.status, InvalidInput if 400 <= self.status < 500 else KancaError)
        try:
            problem = json.loads(self.body)
            detail = str(problem.get("detail") or problem.get("title") or "")
        except (ValueError, RecursionError, AttributeError):
            return kind(f"The server answered {self.status} {_phrase(self.status)}".rstrip())
        return kind(detail, **{name: fact for name, fact in problem.items() if name not in _PROBLEM_MEMBERS})


def call(method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
    """Make a request and give its answer, whatever the status is.

    Raises InvalidInput when ``url`` is no HTTP address, Unavailable when nothing answers there.
    """
    with _connected(method, url, headers, body, TIMEOUT_SECONDS) as response:
        return Answer(response.status, response.read())


@contextmanager
def streamed(url: str, headers: Mapping[str, str], timeout_s: float) -> Iterator[Iterator[bytes]]:
    """Ask for an answer that goes on, and give its lines as they come. They end when the server ends them.

    Raises as ``call`` does, also while lines are read; the answer's refusal when it is not 2xx. ``timeout_s`` is how
    long the server may stay silent.
    """
    with _connected("GET", url, headers, None, timeout_s) as response:
        if not 200 <= response.status < 300:
            raise Answer(response.status, response.read()).refusal()
        yield iter(response.readline, b"")


@contextmanager
def _connected(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
) -> Iterator[HTTPResponse]:
    # Half of what `kanca --help` would take otherwise.
    import socket
    from http.client import HTTPConnection, HTTPException, HTTPSConnection, InvalidURL

    parts = split_url(url)
    place = f"{parts.scheme}://{parts.netloc}"
    secure = parts.scheme == "https"
    connection = (HTTPSConnection if secure else HTTPConnection)(parts.netloc, timeout=timeout_s)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, dict(headers))
        yield connection.getresponse()
    except ConnectionRefusedError:
        raise Unavailable(f"There is no server at {place}. Start one with `kanca serve`.") from None
    except TimeoutError:
        raise Unavailable(f"{place} did not answer within {timeout_s:.0f} s.") from None
    except socket.gaierror:
        raise Unavailable(f"The host of {place} is not known.") from None
    except (ValueError, InvalidURL):
        raise InvalidInput(
            "The address, or what stands in a header (the key, the secret), has impossible characters."
        ) from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise Unavailable(f"{place} did not answer: {reason}.") from error
    finally:
        connection.close()


def split_url(url: str) -> SplitResult:
    """The parts of an address. Raises InvalidInput when it is not an ``http://`` or ``https://`` one."""
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass  # a port that is no number, or half an IPv6 address
    raise InvalidInput(f"An address looks like http://127.0.0.1:8000, not like {url!r}.")


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
