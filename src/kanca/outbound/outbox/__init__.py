"""The transactional outbox: events that the caller's own transaction publishes, moved into Kanca after its commit.

``table`` is what lies in the caller's database, ``entry`` a row of it. ``connections`` adds rows through whatever the
caller has; ``relaying`` moves them with what ``rows`` asks; ``install`` makes the table.
"""
