"""The app of the soak: it cleans up every few seconds, for days pass in half a minute there."""

from __future__ import annotations

from datetime import timedelta

from kanca.workers import worker_duties
from tests.acceptance.app import hooks

__all__ = ["hooks"]

worker_duties.CLEANED_EVERY = timedelta(seconds=4)  # type: ignore[attr-defined]  # the worker takes it from there
