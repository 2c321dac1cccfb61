"""A manifest from what a server shows: what ``kanca export`` writes.

Pure. What is as it is by default is left out, everything stands in a stable order, and of secrets there is only the
name of the environment variable that ``kanca apply`` takes them from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from kanca.cli.actions import PresentWorkflow
from kanca.cli.manifest import FORMAT
from kanca.domain.credential import FIELDS, CredentialKind
from kanca.domain.endpoint import BUILT_IN_IDS, DEFAULT_RATE_LIMIT, EndpointConfig
from kanca.domain.endpoint_config import show_config
from kanca.domain.subscription import SubscriptionConfig
from kanca.domain.subscription_config import show_subscription_config

Shown = Mapping[str, Any]

DEFAULT_TENANT = "default"
GENERIC = "generic"
_ENDPOINT_CONFIG = show_config(EndpointConfig())
_SUBSCRIPTION_CONFIG = show_subscription_config(SubscriptionConfig())
_OPTIONAL_PARTS = frozenset({"scope"})
"""They are not exported: whether a credential has one is not shown."""
_NO_NAME = re.compile(r"[^A-Z0-9]+")


def manifest_of(
    *,
    event_types: Iterable[Shown] = (),
    credentials: Iterable[Shown] = (),
    workflows: Mapping[str, PresentWorkflow] | None = None,
    endpoints: Iterable[Shown] = (),
    subscriptions: Iterable[Shown] = (),
    slugs: Mapping[str, str] | None = None,
    is_portable: bool = False,
) -> dict[str, Any]:
    """The manifest that makes these things, as one document.

    ``slugs`` are those of all endpoints, by id. ``is_portable`` leaves out what ties it to one server: ids that have a
    slug beside them, and the secrets that a server can make itself.
    """
    named = {} if slugs is None else slugs
    variable = _Variables()
    kinds = {
        "event_types": [_event_type(each) for each in _sorted(event_types, "name")],
        "credentials": [_credential(each, variable) for each in _sorted(credentials, "name")],
        "workflows": [_workflow(each) for _, each in sorted((workflows or {}).items())],
        "endpoints": [
            _endpoint(each, variable, is_portable=is_portable)
            for each in sorted(endpoints, key=lambda shown: shown["slug"] or shown["webhook_id"])
            if each["webhook_id"] not in BUILT_IN_IDS
        ],
        "subscriptions": [
            _subscription(each, variable, named, is_portable=is_portable)
            for each in _sorted(subscriptions, "id")
        ],
    }
    return {"kanca": FORMAT} | {kind: entries for kind, entries in kinds.items() if entries}


def variables_of(manifest: Shown) -> list[str]:
    """The environment variables that the secrets of a manifest are taken from, in its order."""
    parts = [name for each in manifest.get("credentials", ()) for name in each["from_env"].values()]
    entries = [*manifest.get("endpoints", ()), *manifest.get("subscriptions", ())]
    return parts + [each["secret_from_env"] for each in entries if "secret_from_env" in each]


def _event_type(shown: Shown) -> dict[str, Any]:
    kept = {key: shown[key] for key in ("description", "schema", "example", "enforced") if shown[key]}
    if shown["example"] is not None:
        kept["example"] = shown["example"]
    return {"name": shown["name"], **kept}


def _credential(shown: Shown, variable: _Variables) -> dict[str, Any]:
    parts = [part for part in FIELDS[CredentialKind(shown["kind"])] if part not in _OPTIONAL_PARTS]
    variables = {part: variable("credential", shown["name"], part) for part in parts}
    return {"name": shown["name"], "kind": shown["kind"], "from_env": variables}


def _workflow(found: PresentWorkflow) -> dict[str, Any]:
    definition = dict(found.newest if found.published is None else found.published)
    besides: dict[str, Any] = {} if found.tenant == DEFAULT_TENANT else {"tenant": found.tenant}
    if found.published is None:
        besides["publish"] = False
    return {"id": definition.pop("id"), **besides, **definition}


def _endpoint(shown: Shown, variable: _Variables, *, is_portable: bool) -> dict[str, Any]:
    kept = {key: shown[key] for key in ("slug", "webhook_id", "name") if shown[key] is not None}
    if is_portable and "slug" in kept:
        del kept["webhook_id"]
    if shown["provider"] != GENERIC or shown["config"].get("provider_spec"):
        kept["provider"] = shown["provider"]
    if shown["tenant"] != DEFAULT_TENANT:
        kept["tenant"] = shown["tenant"]
    kept |= {key: shown[key] for key in ("workflow_id", "node_id") if shown[key] is not None}
    # One without a secret is inactive until it has one, whatever a manifest says.
    if not shown["is_active"] and shown["secret_token"] is not None:
        kept["active"] = False
    config = {key: value for key, value in shown["config"].items() if value != _ENDPOINT_CONFIG.get(key)}
    # The API shows the limit that is in force: by default this one, where nothing signs.
    if shown["provider"] == GENERIC and config.get("rate_limit_per_minute") == DEFAULT_RATE_LIMIT:
        del config["rate_limit_per_minute"]
    if config:
        kept["config"] = config
    if shown["secret_token"] is not None and not is_portable:
        kept["secret_from_env"] = variable("endpoint", shown["slug"] or shown["webhook_id"], "secret")
    return kept


def _subscription(
    shown: Shown, variable: _Variables, slugs: Mapping[str, str], *, is_portable: bool
) -> dict[str, Any]:
    kept = {key: shown[key] for key in ("id", "name", "url", "events")}
    if shown["tenant"] != DEFAULT_TENANT:
        kept["tenant"] = shown["tenant"]
    if shown["sources"]:
        kept["sources"] = [slugs.get(source, source) for source in shown["sources"]]
    if not shown["active"]:
        kept["active"] = False
    kept |= {key: shown[key] for key, usual in _SUBSCRIPTION_CONFIG.items() if shown[key] != usual}
    if shown["secret"] is not None and not is_portable:
        kept["secret_from_env"] = variable("subscription", shown["id"], "secret")
    return kept


class _Variables:
    """Names for environment variables, each given once: ``ENDPOINT_SHOP_ORDERS_SECRET``."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def __call__(self, *words: str) -> str:
        plain = "_".join(_NO_NAME.sub("_", word.upper()).strip("_") for word in words)
        numbered = (f"{plain}_{number}" for number in count(2))
        name = (
            plain if plain not in self._given else next(each for each in numbered if each not in self._given)
        )
        self._given.add(name)
        return name


def _sorted(items: Iterable[Shown], key: str) -> list[Shown]:
    return sorted(items, key=lambda shown: str(shown[key]))
