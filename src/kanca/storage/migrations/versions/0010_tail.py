"""The live tail: a number for every event that is stored, given by the database itself.

A trigger writes it, so that gateways of the version before, which run beside those of this one during an upgrade, do
it too. Events that are there already get none: tails begin with this migration.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Identity, PrimaryKeyConstraint

from kanca.storage.dialects.schema import has_schemas
from kanca.storage.types import Id, Number

revision = "0010"
down_revision = "0009"

# For each statement, not for each row: a batch of events costs one call. In the order of their ids, which is the order
# in which they were made.
_FUNCTION = """
    CREATE FUNCTION kanca.feed_events() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO kanca.feed (event_id) SELECT id FROM stored ORDER BY id;
        RETURN NULL;
    END $$
"""
_SERVER_TRIGGER = """
    CREATE TRIGGER feed_events AFTER INSERT ON kanca.events REFERENCING NEW TABLE AS stored
    FOR EACH STATEMENT EXECUTE FUNCTION kanca.feed_events()
"""
_FILE_TRIGGER = """
    CREATE TRIGGER kanca.feed_events AFTER INSERT ON kanca.events
    BEGIN INSERT INTO kanca.feed (event_id) VALUES (new.id); END
"""


def upgrade() -> None:
    """Add the feed and what fills it."""
    op.create_table(
        "feed",
        Column(
            "number",
            Number,
            Identity(),
            nullable=False,
            comment="the order in which tails show events",
        ),
        Column("event_id", Id, nullable=False),
        PrimaryKeyConstraint("number", name="pk_feed"),
        schema="kanca",
        comment="written by a trigger of events, so that nothing that stores an event can leave it out",
        sqlite_autoincrement=True,
    )
    if has_schemas(op.get_context().dialect):
        op.execute(_FUNCTION)
        op.execute(_SERVER_TRIGGER)
    else:
        op.execute(_FILE_TRIGGER)


def downgrade() -> None:
    """Drop both."""
    if has_schemas(op.get_context().dialect):
        op.execute("DROP TRIGGER feed_events ON kanca.events")
        op.execute("DROP FUNCTION kanca.feed_events()")
    else:
        op.execute("DROP TRIGGER kanca.feed_events")
    op.drop_table("feed", schema="kanca")
