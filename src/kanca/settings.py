"""Every setting of Kanca, each declared once: name, type, default, sentence.

Settings come from ``KANCA_*`` environment variables (those that hold secrets also from the file that ``KANCA_*_FILE``
names), else from ``kanca.toml`` in the working directory (or the file
that ``KANCA_CONFIG`` names), else from the defaults here. The reference page, the sample file and ``kanca config show``
are made from these declarations.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from kanca.domain.endpoint_config import read_config
from kanca.errors import InvalidSetting

PREFIX = "KANCA_"
MIN_KEY_LENGTH = 16
"""Characters. A shorter key can be guessed."""

FROM_FILES = (
    "database_url",
    "database_direct_url",
    "redis_url",
    "secret_key",
    "admin_key",
    "webhook_secret",
    "egress_proxy",
    "outbox_urls",
    "alert_urls",
)
"""Settings with something secret in them: ``KANCA_SECRET_KEY_FILE`` names a file that holds what the variable would."""
_FILE_SUFFIX = "_FILE"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_READ_LATER = frozenset({"content-type", "x-webhook-hops"})
"""Headers of stored events that say how to read the body, and whether it goes round in circles."""
_LOGIN = re.compile(r"(://[^:/?#@]*):.*@")
_PASSWORD_PARAMETER = re.compile(r"([?&][^=&]*password=)[^&#]*", re.IGNORECASE)


def _split(value: object) -> object:
    """Lists are comma-separated in the environment, or JSON where values have commas, and real lists in TOML."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        # An IPv6 address may begin so, too.
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _read_tables(value: object) -> object:
    """Tables are JSON in the environment and real tables in TOML."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON object") from None


Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Tables = Annotated[dict[str, dict[str, Any]], BeforeValidator(_read_tables)]
"""Tables by name, each with what it has."""


class Settings(BaseModel):
    """The settings of one process: read once, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: str = Field(
        "sqlite:///kanca.db",
        description=(
            "Where everything is stored: `sqlite:///path` or `postgresql://user@host/db` (unix socket: "
            "`postgresql://user@/db?host=/path`)."
        ),
    )
    database_direct_url: str | None = Field(
        None,
        description=(
            "The way to PostgreSQL past a pooler such as PgBouncer, for what needs a session of its own: waking "
            "workers, migrations, dropping old days. Only beside a `KANCA_DATABASE_URL` that goes through the pooler."
        ),
    )
    database_connections: int = Field(
        15,
        ge=9,
        le=500,
        description=(
            "How many connections to PostgreSQL one gateway or worker process opens at most. `kanca doctor` adds "
            "up what all instances may open, and compares it with what the server takes."
        ),
    )
    redis_url: str | None = Field(
        None,
        pattern=r"^(redis|rediss|unix)://",
        description=(
            "Redis or Valkey, in which all gateways count for the rate limits together, and over which instances "
            "tell each other at once what has changed: `redis://user:password@host:6379/0`, `rediss://…` with TLS, "
            "or `unix:///path`. Not needed with one gateway."
        ),
    )
    rate_limit_fallback: str = Field(
        "open",
        pattern="^(open|closed)$",
        description=(
            "While Redis is away: `open` lets each gateway count for itself, `closed` answers 503 where an "
            "endpoint has a rate limit."
        ),
    )
    secret_key: SecretStr | None = Field(
        None,
        description=(
            "Encrypts stored secrets; at least 16 characters. A comma-separated list rotates: the first "
            "encrypts, all decrypt. Unset, SQLite makes `kanca.key` beside the database (there a key is a line); "
            "PostgreSQL refuses to start."
        ),
    )
    admin_key: SecretStr | None = Field(
        None,
        description=(
            "The bearer key of the management API, at least 16 characters. "
            "Required unless Kanca is bound to a loopback address."
        ),
    )
    wrong_keys_per_minute: int = Field(
        10,
        ge=0,
        description=(
            "Wrong keys that one address may send to the management API in a minute before it has to wait; "
            "0 = no limit."
        ),
    )
    webhook_secret: SecretStr | None = Field(
        None,
        min_length=1,
        description=("The secret of the built-in endpoint `/webhooks/receive`; unset, the route is 404."),
    )
    public_url: str | None = Field(
        None, description=("The address senders see, for example `https://hooks.example.com`.")
    )
    trusted_proxies: Words = Field(
        (),
        description=(
            "CIDR ranges of proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` are believed."
        ),
    )
    require_https: bool = Field(
        False, description=("Refuse webhooks that did not come over HTTPS (as a trusted proxy says).")
    )
    egress_allow: Words = Field(
        (),
        description=(
            "CIDR ranges and host names that outgoing requests may reach although they are private."
        ),
    )
    egress_ports: Words = Field(
        (), description="The only ports that outgoing requests may go to; empty: all, `443,8443` for example."
    )
    egress_proxy: SecretStr | None = Field(
        None,
        description=(
            "The proxy that outgoing requests go through: `http://user:password@proxy:3128` (CONNECT) or "
            "`socks5://proxy:1080`. Kanca itself looks names up, and checks the addresses."
        ),
    )
    delivery_concurrency: int = Field(
        1_000, ge=1, le=20_000, description="Deliveries that one worker process has under way at once."
    )
    delivery_timeout: float = Field(
        15.0,
        gt=0,
        le=300,
        description="Seconds for one attempt of a delivery, unless its subscription says so.",
    )
    delivery_retry_on: str = Field(
        "usual",
        pattern="^(usual|any)$",
        description=(
            "Which failed deliveries are tried again: `usual` all but those answered with a 4xx that says that "
            "trying again is useless, `any` all."
        ),
    )
    delivery_retry_after_max: int = Field(
        86_400, ge=0, le=604_800, description="Seconds: the longest that a receiver may put a delivery off."
    )
    subscription_disable_after_hours: float = Field(
        120.0,
        gt=0,
        le=720,
        description="A subscription of which every attempt failed for so long is disabled.",
    )
    max_hops: int = Field(
        10,
        ge=1,
        le=100,
        description="How often an event may go through Kanca in a circle before it is not sent any more.",
    )
    event_catalogue: str = Field(
        "open",
        pattern="^(open|closed)$",
        description="`closed` refuses to publish events of types that are not in the catalogue.",
    )
    outbox_urls: Words = Field(
        (),
        description=(
            "Databases of your own, besides Kanca's, in which the relay looks for a `kanca_outbox`: SQLAlchemy URLs."
        ),
    )
    alert_urls: Words = Field(
        (),
        description=(
            "Where people are told of trouble with webhooks: Apprise URLs, such as `slack://…` or `mailto://…` "
            "(needs the extra `alerts`)."
        ),
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on.")
    gateways: int = Field(1, ge=0, le=64, description="Gateway processes; more than one needs PostgreSQL.")
    workers: int = Field(1, ge=0, le=64, description="Worker processes.")
    app: str | None = Field(None, description="Where your handlers are: `module:object`.")
    auto_migrate: bool = Field(
        True, description="Bring the database's schema up to date when `serve` starts."
    )
    worker_concurrency: int = Field(
        10, ge=1, le=10_000, description=("Pieces of work that one worker process has in hand at once.")
    )
    worker_lease_seconds: float = Field(
        10.0,
        ge=1,
        le=300,
        description=(
            "A worker that gave no sign for this long is taken for dead, and its work is given to others."
        ),
    )
    worker_poll_seconds: float = Field(
        1.0, gt=0, le=60, description=("How often an idle worker looks for work although nobody woke it.")
    )
    queue_max_tasks: int = Field(
        1_000_000, ge=1, description=("Due inbound tasks above which ingest answers 503 (from 95 % of it).")
    )
    commit_queue_max: int = Field(
        2_000,
        ge=1,
        description=("Requests that may wait for a commit in one gateway; more are answered 429."),
    )
    tail_max: int = Field(
        100,
        ge=0,
        le=10_000,
        description=("Live tails that one gateway serves at a time; more are answered 429."),
    )
    commit_timeout_seconds: float = Field(
        10.0,
        gt=0,
        le=300,
        description=("The longest that a request waits for its commit before it is answered 503."),
    )
    body_timeout_seconds: float = Field(
        30.0, gt=0, le=600, description=("The longest that a sender may take to send a body.")
    )
    min_free_disk_mb: int = Field(256, ge=0, description="Free disk below which ingest answers 503 (SQLite).")
    retention_days: int = Field(
        30, ge=1, le=3650, description="How long events and what became of them are kept."
    )
    payload_retention_days: int | None = Field(
        None,
        ge=1,
        le=3650,
        description=(
            "How long bodies, headers and what was copied from them are kept, unless an endpoint says so; the record "
            "of an event stays. Unset: as long as events."
        ),
    )
    dead_letter_retention_days: int | None = Field(
        None,
        ge=1,
        le=3650,
        description=(
            "How long dead letters are kept; longer than events, they can be looked at but not retried. "
            "Unset: they go with their events."
        ),
    )
    published_indexed_fields: Words = Field(
        (),
        description=(
            "Paths into published events, such as `data.customer.id`, by whose values they are found; at most 8."
        ),
    )
    redact_headers: Words = Field(
        (),
        description=(
            "Names of headers whose values are stored with no event and no rejection; what proves a sender is never."
        ),
    )
    audit_retention_days: int = Field(
        365, ge=30, le=3650, description="How long it is kept who changed what, and who saw a secret."
    )
    shutdown_seconds: float = Field(
        20.0,
        ge=0,
        le=600,
        description=(
            "How long a stopping process finishes what it has in hand before it hands the rest back."
        ),
    )
    shutdown_delay_seconds: float = Field(
        0.0,
        ge=0,
        le=300,
        description=(
            "How long a gateway that was told to stop goes on accepting while `/health/ready` already says 503: as "
            "long as a load balancer takes to notice."
        ),
    )
    watchdog_seconds: float = Field(
        60.0,
        ge=0,
        le=3600,
        description=(
            "A gateway or worker whose event loop stood still for so long is killed and started again; 0: never."
        ),
    )
    providers: Tables = Field(
        {},
        description=(
            "Providers of your own by name, each a table `[providers.acme]` at the end of the file as "
            "docs/providers/README.md describes it; in the environment a JSON object."
        ),
    )
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description=("`debug`, `info`, `warning` or `error`.")
    )
    log_format: str = Field(
        "auto",
        pattern="^(auto|json|text)$",
        description=("`json`, `text`, or `auto`: text on a terminal, JSON elsewhere."),
    )

    log_requests: str = Field(
        "errors",
        pattern="^(all|errors|off)$",
        description=(
            "A line in the log for each request and each attempt of work: `all` (which costs ingest 5 % or more), "
            "`errors` (of what was refused or failed) or `off`."
        ),
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description=(
            "A port that serves `/metrics`, `/health/live` and `/health/ready` of this machine's processes and "
            "nothing else, without a key; for machines with workers only. Unset: none."
        ),
    )
    metrics_host: str = Field(
        "127.0.0.1", description="The address of that port. Nobody but Prometheus should reach it."
    )

    @field_validator("redact_headers")
    @classmethod
    def _are_not_needed(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if needed := sorted({name.lower() for name in names} & _READ_LATER):
            raise ValueError(f"cannot have {', '.join(needed)}: events are read by it")
        if wrong := [name for name in names if not _HEADER_NAME.fullmatch(name)]:
            raise ValueError(f"{wrong[0]!r} is no name of a header")
        return names

    @field_validator("admin_key")
    @classmethod
    def _is_long(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < MIN_KEY_LENGTH:
            raise ValueError(
                f"must have at least {MIN_KEY_LENGTH} characters; `openssl rand -hex 32` makes a good one"
            )
        return key

    @field_validator("published_indexed_fields")
    @classmethod
    def _are_paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        return read_config({"indexed_fields": paths}).indexed_fields


def load_settings(environ: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
    """The settings from the environment, the configuration file and ``overrides`` (those that are not None win).

    Raises InvalidSetting, naming every setting that cannot be.
    """
    values = _read_file(environ) | _read_secrets(environ)
    values |= {
        name: environ[PREFIX + name.upper()]
        for name in Settings.model_fields
        if PREFIX + name.upper() in environ
    }
    values |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise InvalidSetting("; ".join(_sentence(problem) for problem in error.errors())) from None


def setting_sources(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Where each setting's value comes from: ``environment``, the path of a file, or ``default``.

    Raises InvalidSetting when the file cannot be read.
    """
    in_file = _read_file(environ)
    return {
        name: "environment"
        if PREFIX + name.upper() in environ
        else environ[PREFIX + name.upper() + _FILE_SUFFIX]
        if name in FROM_FILES and PREFIX + name.upper() + _FILE_SUFFIX in environ
        else str(_file_path(environ))
        if name in in_file
        else "default"
        for name in Settings.model_fields
    }


def redacted(settings: Settings) -> dict[str, Any]:
    """The settings as they may be shown: secrets, and passwords in addresses, are ``***``."""
    return {name: _redacted(name, value) for name, value in settings}


def to_environment(settings: Settings) -> dict[str, str]:
    """The environment in which ``load_settings`` gives these settings again: what a process hands to its children."""
    return {PREFIX + name.upper(): _text(value) for name, value in settings if value is not None}


def _file_path(environ: Mapping[str, str]) -> Path:
    return Path(environ.get(PREFIX + "CONFIG", "kanca.toml"))


def _read_file(environ: Mapping[str, str]) -> dict[str, Any]:
    path = _file_path(environ)
    try:
        if path.is_file():
            return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not TOML, or not UTF-8
        raise InvalidSetting(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise InvalidSetting(f"{path} cannot be read: {error.strerror}") from None
    if PREFIX + "CONFIG" in environ:
        raise InvalidSetting(f"{PREFIX}CONFIG names {path}, which is not there")
    return {}


def _read_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """What stands in the files that ``KANCA_…_FILE`` name, but for the end of the last line.

    The variable itself wins: a supervisor hands its children what it has read.
    """
    found: dict[str, str] = {}
    for name in FROM_FILES:
        variable = PREFIX + name.upper() + _FILE_SUFFIX
        if variable not in environ or PREFIX + name.upper() in environ:
            continue
        try:
            found[name] = Path(environ[variable]).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise InvalidSetting(
                f"{variable}: {environ[variable]} cannot be read: {error.strerror}"
            ) from None
        except UnicodeDecodeError:
            raise InvalidSetting(f"{variable}: {environ[variable]} is not UTF-8") from None
    return found


def _redacted(name: str, value: object) -> object:
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, tuple) and name.endswith("_urls"):
        return ["***" if name == "alert_urls" else _without_password(url) for url in value]
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, str) and name.endswith("_url"):
        return _without_password(value)
    return value


def _without_password(url: str) -> str:
    without_login = _LOGIN.sub(r"\1:***@", url)
    return _PASSWORD_PARAMETER.sub(r"\1***", without_login)


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict | tuple) else str(value)


def _sentence(problem: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    return f"{PREFIX}{name.upper()}: {problem['msg'].removeprefix('Value error, ')}"
