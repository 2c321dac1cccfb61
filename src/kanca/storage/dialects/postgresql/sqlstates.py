"""What PostgreSQL's error codes mean for whoever asked (PostgreSQL 18, appendix A).

What is about the statement or its values is not here: it is raised as it is, as a mistake of ours or of the sender's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What follows an error."""

    TRY_AGAIN = "try_again"
    """The same transaction, at once: it lost against another one."""
    UNAVAILABLE = "unavailable"
    """503: later."""
    FULL = "full"
    """503: once there is room."""
    ELSEWHERE = "elsewhere"
    """503: this server only reads. Connections are opened anew, for the address may be another server's by now."""
    NOT_MIGRATED = "not_migrated"
    """503: once somebody has migrated."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error code means."""

    outcome: Outcome
    sentence: str
    """For people; nothing of the server's own words."""


_AWAY = Meaning(Outcome.UNAVAILABLE, "The connection to the database is lost")
_NOT_NOW = Meaning(Outcome.UNAVAILABLE, "The database cannot do this now")
_BEHIND = Meaning(
    Outcome.NOT_MIGRATED, "The database has no Kanca tables yet, or older ones: run `kanca migrate`"
)
_LOST = Meaning(Outcome.TRY_AGAIN, "The database could not decide between several who changed the same")
_ACCESS = Meaning(Outcome.UNAVAILABLE, "The database does not let this user in, or not at this")
_DAMAGED = Meaning(Outcome.UNAVAILABLE, "The database is damaged, or its disk does not work")

CODES: dict[str, Meaning] = {
    "25006": Meaning(
        Outcome.ELSEWHERE, "The database is read-only now"
    ),  # read_only_sql_transaction: a standby
    "25P03": _AWAY,  # idle_in_transaction_session_timeout
    "25P04": _AWAY,  # transaction_timeout
    "3F000": _BEHIND,  # invalid_schema_name
    "40001": _LOST,  # serialization_failure; also of a standby that has to go on replaying
    "40003": _NOT_NOW,  # statement_completion_unknown
    "40P01": _LOST,  # deadlock_detected
    "42501": _ACCESS,  # insufficient_privilege
    "42703": _BEHIND,  # undefined_column
    "42883": _BEHIND,  # undefined_function
    "42P01": _BEHIND,  # undefined_table
    "53100": Meaning(Outcome.FULL, "The disk of the database is full"),  # disk_full
    "53200": Meaning(Outcome.UNAVAILABLE, "The database is out of memory"),  # out_of_memory
    "53300": Meaning(Outcome.UNAVAILABLE, "The database has no connection left"),  # too_many_connections
    "55P03": Meaning(
        Outcome.UNAVAILABLE, "Something in the database is locked for too long"
    ),  # lock_not_available
    "57014": Meaning(Outcome.UNAVAILABLE, "The database took too long"),  # query_canceled: statement_timeout
    "57P01": Meaning(Outcome.UNAVAILABLE, "The database is shutting down"),  # admin_shutdown
    "57P02": Meaning(Outcome.UNAVAILABLE, "The database has crashed"),  # crash_shutdown
    "57P03": Meaning(Outcome.UNAVAILABLE, "The database is starting up"),  # cannot_connect_now
    "XX001": _DAMAGED,  # data_corrupted
    "XX002": _DAMAGED,  # index_corrupted
}
CLASSES: dict[str, Meaning] = {
    "08": _AWAY,  # the connection
    "28": _ACCESS,  # who we are, or our password
    "3D": Meaning(Outcome.UNAVAILABLE, "There is no such database"),
    "53": _NOT_NOW,  # resources
    "57": _NOT_NOW,  # an operator stepped in
    "58": _DAMAGED,  # a file, or the system under the database
}
"""By the first two characters: what goes for the codes of a class that have no meaning of their own."""


def meaning_of(sqlstate: str) -> Meaning | None:
    """What follows an error with this code; None when it is about the statement."""
    return CODES.get(sqlstate) or CLASSES.get(sqlstate[:2])
