"""Too much at once (429), or not possible for now (503): try again later."""

from __future__ import annotations

from kanca.errors.families import TooManyRequests, Unavailable


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
