"""A client of Redis or Valkey in which every wait is bounded and nothing is tried twice."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from kanca.errors import InvalidSetting


def redis_client(url: str, timeout_s: float) -> Redis:
    """A client for the server at ``url``. Connects nothing. Raises InvalidSetting for an address that cannot be."""
    try:
        client = Redis.from_url(
            url,
            protocol=2,
            socket_connect_timeout=timeout_s,
            socket_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
        )
        # An option that does not exist is noticed only when a connection is made (which connects nothing yet).
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # theirs
    except (TypeError, ValueError, RedisError):
        raise InvalidSetting(
            "KANCA_REDIS_URL is not like redis://user:password@host:6379/0, rediss://… or unix:///path"
        ) from None
    return client
