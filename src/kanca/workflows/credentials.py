"""Credentials of nodes: which a workflow names, and what is stored under these names."""

from __future__ import annotations

import json
from typing import NamedTuple

from sqlalchemy import Connection

from kanca.domain.credential import PLAIN_KINDS, Credential
from kanca.domain.workflow import Definition, Problem, read_definition
from kanca.storage import credentials
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.versions import read_versions
from kanca.workflows.nodes import BUILT_IN_NAMES
from kanca.workflows.validation import refusal

CREDENTIAL = "credential"
"""The key of a config that names one."""
UNKNOWN_CREDENTIAL = "unknown_credential"
UNUSABLE_CREDENTIAL = "unusable_credential"
"""There is one, of a kind that nodes cannot send."""


class _Kept(NamedTuple):
    """Credentials in memory."""

    version: int
    by_name: dict[str, Credential]
    """As they were at that version, or later."""


class StoredCredentials:
    """Credentials out of the database, decrypted once. One for a process.

    Whether they have changed is asked each time: what was replaced or deleted is never used again, and where the
    database is away, nothing is sent that a credential belongs to.
    """

    def __init__(self, database: Database, secret_box: SecretBox) -> None:
        self._database = database
        self._box = secret_box
        self._kept = _Kept(-1, {})

    async def get(self, name: str) -> Credential:
        """The credential as it is now.

        Raises CredentialNotFound, InvalidSetting when no key opens it, and DatabaseUnavailable.
        """
        known = self._kept
        known_version = known.version if name in known.by_name else None
        version, found = await self._database.read(_read, self._box, name, known_version)
        if found is None:
            return known.by_name[name]
        if version > self._kept.version:
            self._kept = _Kept(version, {})
        if version == self._kept.version:
            self._kept.by_name[name] = found
        return found


def credentials_in(definition: Definition) -> dict[str, set[str]]:
    """The names of the credentials that built-in nodes of the definition name, with the ids of these nodes."""
    found: dict[str, set[str]] = {}
    for node in definition.nodes:
        name = node.config.get(CREDENTIAL)
        if node.type in BUILT_IN_NAMES and isinstance(name, str):
            found.setdefault(name, set()).add(node.id)
    return found


def check_credentials(connection: Connection, definition: Definition) -> None:
    """Make sure that there are all the credentials that a definition names, and will be until the commit.

    Raises InvalidWorkflow with a problem ``unknown_credential`` or ``unusable_credential`` for each node that names
    another, or one of a kind that nodes cannot send.
    """
    named = credentials_in(definition)
    kinds = credentials.kinds(connection, named.keys())
    problems = [
        Problem(node_id, *problem)
        for name in sorted(named)
        if (problem := _problem(name, kinds.get(name))) is not None
        for node_id in sorted(named[name])
    ]
    if problems:
        raise refusal(problems)


def _problem(name: str, kind: str | None) -> tuple[str, str] | None:
    if kind is None:
        return UNKNOWN_CREDENTIAL, f"there is no credential {name!r}"
    if kind not in PLAIN_KINDS:
        return UNUSABLE_CREDENTIAL, f"credential {name!r} is of the kind {kind}, which nodes cannot send"
    return None


def workflows_with(connection: Connection, name: str) -> list[str]:
    """The ids of the workflows whose newest or published version names that credential, in order."""
    candidates = credentials.definitions_with(connection, json.dumps(name))
    using = {
        workflow_id
        for workflow_id, definition in candidates
        if name in credentials_in(read_definition(json.loads(definition)))
    }
    return sorted(using)


def _read(
    connection: Connection, box: SecretBox, name: str, known_version: int | None
) -> tuple[int, Credential | None]:
    """The present version, and the credential unless that version of it is known."""
    version = read_versions(connection).get("credentials", 0)
    if version == known_version:
        return version, None
    return version, credentials.get(connection, box, name)
