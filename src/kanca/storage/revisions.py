"""Which revisions of the schema this Kanca knows, by the names of their files.

Every process says the newest one of each connection. Asking Alembic would load it, with its templates, and all
migrations: a fifth of what a process needs to start, for one word.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def newest_revision() -> str:
    """Name the revision that this Kanca needs. Files are called ``<revision>_<what it does>.py``."""
    versions = files("kanca.storage") / "migrations" / "versions"
    return max(file.name.partition("_")[0] for file in versions.iterdir() if file.name.endswith(".py"))
