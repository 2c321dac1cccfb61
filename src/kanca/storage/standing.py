"""What a database's schema is to this Kanca: pure decisions, from revisions to what may be done.

Migrations come in two halves. *Expand* only adds, so that the versions before can go on. *Contract* takes away what
they needed, once none of them runs. So a schema that was expanded by a newer Kanca is one to work with; one that was
contracted by a newer one is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Half(StrEnum):
    """Which half of a migration."""

    EXPAND = "expand"
    CONTRACT = "contract"


class Standing(StrEnum):
    """A schema, as this Kanca sees it."""

    MISSING = "missing"
    """There is none."""
    BEHIND = "behind"
    """It has to be migrated first."""
    CURRENT = "current"
    AHEAD = "ahead"
    """A newer Kanca has expanded it; this one goes on with it."""
    TOO_NEW = "too_new"
    """A newer Kanca has taken away what this one may need."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a database beside the one that this Kanca knows."""

    expanded_to: str | None
    """The last expand half that the database has had."""
    contracted_to: str | None
    """The last contract half that the database has had."""
    expands: Sequence[str]
    """Those that this Kanca knows, the oldest first."""
    contracts: Sequence[str]

    @property
    def standing(self) -> Standing:
        """Whether this Kanca can work with it."""
        if self.expanded_to is None:
            return Standing.MISSING
        if self.contracted_to is not None and self.contracted_to not in self.contracts:
            return Standing.TOO_NEW
        if self.expanded_to not in self.expands:
            return Standing.AHEAD
        return Standing.CURRENT if self.expanded_to == self.expands[-1] else Standing.BEHIND

    @property
    def newest(self) -> str:
        """The last expand half that this Kanca knows, and needs."""
        return self.expands[-1]

    @property
    def pending_contracts(self) -> Sequence[str]:
        """The contract halves that the database has not had, the oldest first."""
        if self.contracted_to is None:
            return self.contracts
        if self.contracted_to not in self.contracts:
            return ()
        return self.contracts[self.contracts.index(self.contracted_to) + 1 :]


def older_than(needed: str, known_by_others: Iterable[str], expands: Sequence[str]) -> list[str]:
    """Pick, of what others say that they know, what is older than ``needed``.

    One that says nothing (an empty text) is from before such things were said; one that this Kanca does not know
    is newer.
    """
    too_old = {"", *expands[: expands.index(needed)]}
    return sorted(known for known in known_by_others if known in too_old)
