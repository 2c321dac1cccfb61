"""``hooks.yaml``: what there shall be on a server, as ``kanca apply`` reads it.

``{kanca: 1, credentials: […], workflows: […], endpoints: […]}``, in one document or in several. Secrets stand in the
environment; the file has the names of the variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kanca.api.endpoint_rules import read_endpoint_config
from kanca.cli.documents import with_text_ports
from kanca.domain.endpoint import show_config
from kanca.domain.ids import CHOSEN_ID
from kanca.errors import InvalidEndpoint, InvalidInput

T = TypeVar("T")

FORMAT = 1
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LONGEST_RETENTION_DAYS = 100_000
"""Of the server, which is asked when it is changed."""


@dataclass(frozen=True, slots=True)
class CredentialWanted:
    """A credential, and the environment variables that hold what it consists of."""

    name: str
    kind: str
    from_env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WorkflowWanted:
    """A workflow: its definition is the server's to judge."""

    id: str
    definition: Mapping[str, Any]
    is_published: bool = True
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointWanted:
    """An endpoint; what is None is left as it is, or to the server."""

    slug: str
    name: str | None = None
    provider: str | None = None
    workflow_id: str | None = None
    node_id: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """As the API shows it."""
    secret_from_env: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that there shall be."""

    credentials: tuple[CredentialWanted, ...] = ()
    workflows: tuple[WorkflowWanted, ...] = ()
    endpoints: tuple[EndpointWanted, ...] = ()


def read_manifest(documents: Iterable[Any]) -> Manifest:
    """What the documents of a file ask for. Raises InvalidInput with all that is wrong in ``problems``."""
    reader = _Reader()
    for document in documents:
        if document is not None:
            reader.document(document)
    reader.check_names()
    if reader.problems:
        raise refused("The file cannot be applied.", reader.problems)
    return Manifest(tuple(reader.credentials), tuple(reader.workflows), tuple(reader.endpoints))


def refused(sentence: str, problems: Iterable[tuple[str, str]]) -> InvalidInput:
    """The error for problems, each with what it is about."""
    return InvalidInput(
        sentence, problems=[{"node": where, "message": message} for where, message in problems]
    )


class _Reader:
    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []
        self.credentials: list[CredentialWanted] = []
        self.workflows: list[WorkflowWanted] = []
        self.endpoints: list[EndpointWanted] = []

    def document(self, values: object) -> None:
        where = "the file"
        if not isinstance(values, Mapping):
            self._problem(where, "must be an object")
            return
        self._keys(values, {"kanca", "credentials", "workflows", "endpoints"}, where)
        if type(values.get("kanca")) is not int or values["kanca"] != FORMAT:
            self._problem(where, f"must say `kanca: {FORMAT}`, which is the version of its form")
        self._each(values, "credentials", self._credential, self.credentials)
        self._each(values, "workflows", self._workflow, self.workflows)
        self._each(values, "endpoints", self._endpoint, self.endpoints)

    def check_names(self) -> None:
        """Note what is asked for twice."""
        for what, names in (
            ("credential", [wanted.name for wanted in self.credentials]),
            ("workflow", [wanted.id for wanted in self.workflows]),
            ("endpoint", [wanted.slug for wanted in self.endpoints]),
        ):
            for name in sorted({name for name in names if names.count(name) > 1}):
                self._problem(f"{what} {name}", "stands there twice")

    def _credential(self, values: Mapping[str, Any], where: str) -> CredentialWanted | None:
        self._keys(values, {"name", "kind", "from_env"}, where)
        name, kind = self._text(values, "name", where, CHOSEN_ID), self._text(values, "kind", where)
        from_env = values.get("from_env")
        if not isinstance(from_env, Mapping) or not from_env:
            self._problem(where, "from_env must name the environment variable of each part: {token: TOKEN}")
            return None
        variables = {
            part: self._text(from_env, part, f"{where}, from_env", _VARIABLE) or "" for part in from_env
        }
        return CredentialWanted(name, kind, variables) if name and kind else None

    def _workflow(self, values: Mapping[str, Any], where: str) -> WorkflowWanted | None:
        workflow_id = self._text(values, "id", where, CHOSEN_ID)
        publish = values.get("publish", True)
        if not isinstance(publish, bool):
            self._problem(where, "publish must be true or false")
        tenant = self._optional(values, "tenant", where, CHOSEN_ID)
        definition = {key: value for key, value in values.items() if key not in ("publish", "tenant")}
        if workflow_id is None:
            return None
        return WorkflowWanted(workflow_id, with_text_ports(definition), publish is True, tenant)

    def _endpoint(self, values: Mapping[str, Any], where: str) -> EndpointWanted | None:
        known = {"slug", "name", "provider", "workflow_id", "node_id", "config", "secret_from_env"}
        self._keys(values, known, where)
        slug = self._text(values, "slug", where, _SLUG)
        workflow_id = self._optional(values, "workflow_id", where, CHOSEN_ID)
        node_id = self._optional(values, "node_id", where, CHOSEN_ID)
        if node_id and not workflow_id:
            self._problem(where, "node_id needs a workflow_id beside it")
        name, provider = self._optional(values, "name", where), self._optional(values, "provider", where)
        variable = self._optional(values, "secret_from_env", where, _VARIABLE)
        config = self._config(values.get("config", {}), where)
        if slug is None:
            return None
        return EndpointWanted(slug, name, provider, workflow_id, node_id, config, variable)

    def _config(self, values: object, where: str) -> dict[str, Any]:
        """The config in the form in which the API shows it, so that both can be compared."""
        if not isinstance(values, Mapping):
            self._problem(where, "config must be an object")
            return {}
        try:
            shown = show_config(read_endpoint_config(values, _LONGEST_RETENTION_DAYS))
        except InvalidEndpoint as error:
            for problem in error.facts["problems"]:
                self._problem(where, f"{problem['key']} {problem['message']}")
            return {}
        return {key: shown[key] for key in values}

    def _each(
        self,
        values: Mapping[str, Any],
        key: str,
        read: Callable[[Mapping[str, Any], str], T | None],
        into: list[T],
    ) -> None:
        entries = values.get(key) or []
        if not isinstance(entries, list):
            self._problem("the file", f"{key} must be a list")
            return
        for at, entry in enumerate(entries):
            where = f"{key}[{at}]"
            if not isinstance(entry, Mapping):
                self._problem(where, "must be an object")
            elif (found := read(entry, where)) is not None:
                into.append(found)

    def _text(
        self, values: Mapping[str, Any], key: str, where: str, form: re.Pattern[str] | None = None
    ) -> str | None:
        value = values.get(key)
        if isinstance(value, str) and value and (form is None or form.fullmatch(value)):
            return value
        self._problem(where, f"{key} must be {f'a text of the form {form.pattern}' if form else 'a text'}")
        return None

    def _optional(
        self, values: Mapping[str, Any], key: str, where: str, form: re.Pattern[str] | None = None
    ) -> str | None:
        return None if values.get(key) is None else self._text(values, key, where, form)

    def _keys(self, values: Mapping[str, Any], known: set[str], where: str) -> None:
        for key in values:
            if key not in known:
                self._problem(where, f"there is no key {str(key)[:64]!r}")

    def _problem(self, where: str, message: str) -> None:
        self.problems.append((where, message))
