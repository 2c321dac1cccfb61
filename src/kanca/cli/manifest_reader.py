"""Reads manifests: every document checked as far as can be without a server, every problem with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from kanca.api.endpoint_rules import read_endpoint_config
from kanca.api.subscription_rules import read_options
from kanca.cli.documents import Document, with_text_ports
from kanca.cli.manifest import (
    FORMAT,
    CredentialWanted,
    EndpointWanted,
    EventTypeWanted,
    Manifest,
    SubscriptionWanted,
    WorkflowWanted,
    at,
    refused,
)
from kanca.cli.sources import VARIABLE, Keeper, Source
from kanca.domain.endpoint_config import show_config
from kanca.domain.ids import CHOSEN_ID, WEBHOOK_ID
from kanca.domain.subscription import SubscriptionConfig
from kanca.domain.subscription_config import show_subscription_config
from kanca.errors import InvalidEndpoint

T = TypeVar("T")

KINDS = ("event_types", "credentials", "workflows", "endpoints", "subscriptions")
EVENT_TYPE_KEYS = {"name", "description", "schema", "example", "enforced"}
CREDENTIAL_KEYS = {"name", "kind", "from_env", "from_file"}
_SECRET_KEYS = {"secret_from_env", "secret_from_file"}
ENDPOINT_KEYS = _SECRET_KEYS | {
    "slug", "webhook_id", "name", "provider", "tenant", "workflow_id", "node_id", "active", "config"
}  # fmt: skip
_OPTION_KEYS = frozenset(show_subscription_config(SubscriptionConfig()))
_SECONDS = ("timeout", "rate_limit_per_second")
_ADDRESS_KEYS = {"url", "events", "name", "active", "sources"}
SUBSCRIPTION_KEYS = _SECRET_KEYS | _ADDRESS_KEYS | _OPTION_KEYS | {"id", "tenant"}

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LONGEST_RETENTION_DAYS = 100_000
"""Of the server, which is asked when it is changed."""
_ANYTHING = re.compile(r"(?s).+")


def read_manifest(documents: Iterable[Document]) -> Manifest:
    """What the documents ask for. Raises InvalidInput with all that is wrong in ``problems``."""
    reader = _Reader()
    for document in documents:
        if document.value is not None:
            reader.document(document)
    manifest = Manifest(
        event_types=tuple(reader.event_types),
        credentials=tuple(reader.credentials),
        workflows=tuple(reader.workflows),
        endpoints=tuple(reader.endpoints),
        subscriptions=tuple(reader.subscriptions),
    )
    problems = [*reader.problems, *_twice(manifest)]
    if problems:
        raise refused("The manifest cannot be applied.", problems)
    return manifest


def _twice(manifest: Manifest) -> Iterable[tuple[str, str]]:
    """What is asked for twice."""
    for what, named in (
        ("event type", [(each.name, each.place) for each in manifest.event_types]),
        ("credential", [(each.name, each.place) for each in manifest.credentials]),
        ("workflow", [(each.id, each.place) for each in manifest.workflows]),
        ("endpoint", [(each.slug, each.place) for each in manifest.endpoints if each.slug]),
        ("endpoint", [(each.webhook_id, each.place) for each in manifest.endpoints if each.webhook_id]),
        ("subscription", [(each.id, each.place) for each in manifest.subscriptions]),
    ):
        seen: set[str] = set()
        for name, place in named:
            if name in seen:
                yield at(place, f"{what} {name}"), "stands there twice"
            seen.add(name)


class _Reader:
    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []
        self.event_types: list[EventTypeWanted] = []
        self.credentials: list[CredentialWanted] = []
        self.workflows: list[WorkflowWanted] = []
        self.endpoints: list[EndpointWanted] = []
        self.subscriptions: list[SubscriptionWanted] = []

    def document(self, document: Document) -> None:
        where, values = document.file or "the file", document.value
        if not isinstance(values, Mapping):
            self._problem(where, "must be an object")
            return
        self._keys(values, {"kanca", *KINDS}, where)
        if type(values.get("kanca")) is not int or values["kanca"] != FORMAT:
            self._problem(where, f"must say `kanca: {FORMAT}`, which is the version of its form")
        self._each(document, "event_types", self._event_type, self.event_types)
        self._each(document, "credentials", self._credential, self.credentials)
        self._each(document, "workflows", self._workflow, self.workflows)
        self._each(document, "endpoints", self._endpoint, self.endpoints)
        self._each(document, "subscriptions", self._subscription, self.subscriptions)

    def _event_type(self, values: Mapping[str, Any], where: str, place: str) -> EventTypeWanted | None:
        self._keys(values, EVENT_TYPE_KEYS, where)
        name = self._text(values, "name", where)
        body = {
            "description": values.get("description") or "",
            "schema": values.get("schema"),
            "example": values.get("example"),
            "enforced": self._flag(values, "enforced", where) is True,
        }
        return EventTypeWanted(name, body, place) if name else None

    def _credential(self, values: Mapping[str, Any], where: str, place: str) -> CredentialWanted | None:
        self._keys(values, CREDENTIAL_KEYS, where)
        name, kind = self._text(values, "name", where, CHOSEN_ID), self._text(values, "kind", where)
        sources: dict[str, Source] = {}
        for key, keeper, form in (
            ("from_env", Keeper.ENV, VARIABLE),
            ("from_file", Keeper.FILE, _ANYTHING),
        ):
            named = values.get(key, {})
            if not isinstance(named, Mapping):
                self._problem(where, f"{key} must be an object: {{token: …}}")
                continue
            for part in named:
                if part in sources:
                    self._problem(where, f"{part} stands in from_env and in from_file")
                if found := self._text(named, part, f"{where}, {key}", form):
                    sources[part] = Source(keeper, found)
        if not sources:
            self._problem(where, "from_env must name the environment variable of each part: {token: TOKEN}")
        return CredentialWanted(name, kind, sources, place) if name and kind and sources else None

    def _workflow(self, values: Mapping[str, Any], where: str, place: str) -> WorkflowWanted | None:
        workflow_id = self._text(values, "id", where, CHOSEN_ID)
        is_published = self._flag(values, "publish", where) is not False
        tenant = self._optional(values, "tenant", where, CHOSEN_ID)
        definition = {key: value for key, value in values.items() if key not in ("publish", "tenant")}
        if workflow_id is None:
            return None
        return WorkflowWanted(workflow_id, with_text_ports(definition), is_published, tenant, place)

    def _endpoint(self, values: Mapping[str, Any], where: str, place: str) -> EndpointWanted | None:
        self._keys(values, ENDPOINT_KEYS, where)
        slug = self._optional(values, "slug", where, _SLUG)
        webhook_id = self._optional(values, "webhook_id", where, WEBHOOK_ID)
        if values.get("slug") is None and values.get("webhook_id") is None:
            self._problem(where, "slug or webhook_id must say which endpoint it is")
        wanted = EndpointWanted(
            slug=slug,
            webhook_id=webhook_id,
            name=self._optional(values, "name", where),
            provider=self._optional(values, "provider", where),
            tenant=self._optional(values, "tenant", where, CHOSEN_ID),
            workflow_id=self._optional(values, "workflow_id", where, CHOSEN_ID),
            node_id=self._optional(values, "node_id", where, CHOSEN_ID),
            is_active=self._flag(values, "active", where),
            config=self._config(values.get("config", {}), where),
            secret=self._secret(values, where),
            place=place,
        )
        if wanted.node_id and not wanted.workflow_id:
            self._problem(where, "node_id needs a workflow_id beside it")
        return wanted if wanted.id else None

    def _subscription(self, values: Mapping[str, Any], where: str, place: str) -> SubscriptionWanted | None:
        self._keys(values, SUBSCRIPTION_KEYS, where)
        subscription_id = self._text(values, "id", where, CHOSEN_ID)
        self._text(values, "url", where)
        self._texts(values, "events", where)
        if "sources" in values:
            self._texts(values, "sources", where)
        self._flag(values, "active", where)
        self._optional(values, "name", where)
        options = {key: value for key, value in values.items() if key in _OPTION_KEYS}
        config, problems = read_options(options)
        for problem in problems:
            self._problem(where, f"{problem['key']} {problem['message']}")
        shown = show_subscription_config(config)
        body = {key: values[key] for key in _ADDRESS_KEYS & values.keys() if values[key] is not None}
        # The API shows 10 seconds as 10.0.
        body |= {
            key: float(shown[key]) if key in _SECONDS and shown[key] is not None else shown[key]
            for key in options
        }
        tenant, secret = self._optional(values, "tenant", where, CHOSEN_ID), self._secret(values, where)
        return SubscriptionWanted(subscription_id, body, tenant, secret, place) if subscription_id else None

    def _secret(self, values: Mapping[str, Any], where: str) -> Source | None:
        variable = self._optional(values, "secret_from_env", where, VARIABLE)
        file = self._optional(values, "secret_from_file", where)
        if variable and file:
            self._problem(where, "has secret_from_env and secret_from_file")
        if variable:
            return Source(Keeper.ENV, variable)
        return Source(Keeper.FILE, file) if file else None

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
        document: Document,
        key: str,
        read: Callable[[Mapping[str, Any], str, str], T | None],
        into: list[T],
    ) -> None:
        entries = document.value.get(key) or []
        if not isinstance(entries, list):
            self._problem(document.file or "the file", f"{key} must be a list")
            return
        for number, entry in enumerate(entries):
            place = document.place_of(key, number)
            where = at(place, f"{key}[{number}]")
            if not isinstance(entry, Mapping):
                self._problem(where, "must be an object")
            elif (found := read(entry, where, place)) is not None:
                into.append(found)

    def _text(
        self, values: Mapping[str, Any], key: str, where: str, form: re.Pattern[str] | None = None
    ) -> str | None:
        value = values.get(key)
        if isinstance(value, str) and value and (form is None or form.fullmatch(value)):
            return value
        self._problem(where, f"{key} must be {f'a text of the form {form.pattern}' if form else 'a text'}")
        return None

    def _texts(self, values: Mapping[str, Any], key: str, where: str) -> None:
        value = values.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self._problem(where, f"{key} must be a list of texts")

    def _flag(self, values: Mapping[str, Any], key: str, where: str) -> bool | None:
        value = values.get(key)
        if value is None or isinstance(value, bool):
            return value
        self._problem(where, f"{key} must be true or false")
        return None

    def _optional(
        self, values: Mapping[str, Any], key: str, where: str, form: re.Pattern[str] | None = None
    ) -> str | None:
        return None if values.get(key) is None else self._text(values, key, where, form)

    def _keys(self, values: Mapping[str, Any], known: Iterable[str], where: str) -> None:
        for key in values:
            if key not in known:
                self._problem(where, f"there is no key {str(key)[:64]!r}")

    def _problem(self, where: str, message: str) -> None:
        self.problems.append((where, message))
