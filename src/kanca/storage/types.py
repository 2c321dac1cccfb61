"""Column types that mean the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, LargeBinary, Uuid
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Number = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit key: SQLite gives out row ids only to a column that is exactly INTEGER."""


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The moment that many microseconds after 1970, in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


class Id(TypeDecorator[UUID]):
    """A UUID: ``uuid`` on PostgreSQL, 16 bytes on SQLite. Sorts by time on both."""

    impl = LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        return dialect.type_descriptor(Uuid() if dialect.supports_native_uuid else LargeBinary(16))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        """Write a value."""
        return value if value is None or dialect.supports_native_uuid else value.bytes

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        """Read a value."""
        if value is None or dialect.supports_native_uuid:
            return value  # type: ignore[no-any-return]  # the driver gives a UUID
        return UUID(bytes=value)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond: ``timestamptz`` on PostgreSQL, an integer of microseconds on SQLite."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        return dialect.type_descriptor(
            DateTime(timezone=True) if dialect.supports_native_uuid else BigInteger()
        )

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Write a value."""
        return value if value is None or dialect.supports_native_uuid else to_microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read a value."""
        if value is None or dialect.supports_native_uuid:
            return value  # type: ignore[no-any-return]  # the driver gives an aware datetime
        return from_microseconds(value)
