"""Secrets in the documents that servers send back: replaced, so that they get into no step, attempt or log."""

from __future__ import annotations

from typing import Any

from kanca.egress import masking
from kanca.egress.masking import HIDDEN
from kanca.workflows.values import NotJson


class Mask(masking.Mask):
    """Replaces some texts wherever they stand, in JSON documents too; without any it leaves everything as it is."""

    def document(self, source: bytes, document: Any) -> Any:
        """A JSON document without them, keys and numbers included; ``source`` is its text. Raises NotJson."""
        if self._bytes is None or not (b"\\" in source or self._bytes.search(source)):
            return document  # nearly always, and for the price of one look
        try:
            return self._masked(document)
        except RecursionError:
            raise NotJson("the value is nested too deeply") from None

    def _masked(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case list():
                return [self._masked(entry) for entry in value]
            case dict():
                return {self.text(key): self._masked(entry) for key, entry in value.items()}
            case int() | float():
                written = str(value)
                return value if self.text(written) == written else HIDDEN
        return value
