"""The audit log: rows that are added, and removed only when they are old.

Triggers hold whoever uses this database to it, by mistake or by another program: a row is never changed, and one that
is younger than 30 days (the least that ``KANCA_AUDIT_RETENTION_DAYS`` can be) is not deleted. They hold nobody who may
drop triggers: the owner of the tables can.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, PrimaryKeyConstraint, Text

from kanca.storage.dialects.schema import has_schemas
from kanca.storage.types import Id, Instant

revision = "0007"
down_revision = "0006"

SCHEMA = "kanca"
_YOUNG_DAYS = 30
_INDEXED = ("subject_id", "actor_id", "action", "tenant")

_ON_SERVER = (
    f"""
    CREATE FUNCTION kanca.keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF OLD.at < kanca.now() - interval '{_YOUNG_DAYS} days' THEN
                RETURN OLD;
            END IF;
        END IF;
        RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER keep_audit_rows BEFORE UPDATE OR DELETE ON kanca.audit
    FOR EACH ROW EXECUTE FUNCTION kanca.keep_audit()
    """,
    """
    CREATE TRIGGER keep_audit BEFORE TRUNCATE ON kanca.audit
    FOR EACH STATEMENT EXECUTE FUNCTION kanca.keep_audit()
    """,
)
_IN_FILE = (
    """
    CREATE TRIGGER kanca_keep_audit_rows BEFORE UPDATE ON kanca_audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END
    """,
    f"""
    CREATE TRIGGER kanca_keep_audit BEFORE DELETE ON kanca_audit
    WHEN OLD.at >= kanca_now() - {_YOUNG_DAYS * 86_400_000_000}
    BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END
    """,
)


def upgrade() -> None:
    """Add the table and what guards it."""
    op.create_table(
        "audit",
        Column("id", Id, nullable=False),
        Column("at", Instant, nullable=False),
        Column("actor_kind", Text, nullable=False),
        Column("actor_id", Text),
        Column("actor_name", Text),
        Column("action", Text, nullable=False),
        Column("subject_kind", Text, nullable=False),
        Column("subject_id", Text),
        Column("tenant", Text),
        Column("address", Text),
        Column("request_id", Text),
        Column("before", Text, comment="the fields that changed, as JSON; secrets are not in it"),
        Column("after", Text, comment="as above"),
        Column("detail", Text, nullable=False, comment="what else there is to say, as JSON"),
        PrimaryKeyConstraint("id", name="pk_audit"),
        schema=SCHEMA,
    )
    for name in _INDEXED:
        op.create_index(f"ix_audit_{name}_id", "audit", [name, "id"], schema=SCHEMA)
    for statement in _ON_SERVER if has_schemas(op.get_context().dialect) else _IN_FILE:
        op.execute(statement)


def downgrade() -> None:
    """Drop it all."""
    op.drop_table("audit", schema=SCHEMA)
    if has_schemas(op.get_context().dialect):
        op.execute("DROP FUNCTION kanca.keep_audit()")
