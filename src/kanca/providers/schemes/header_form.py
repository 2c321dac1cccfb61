"""How a header holds signatures: ``sha256={signature}``, ``t={timestamp},v1={signature}``, ``v1,{signature}``.

The form reads as the provider's documentation writes it. With a separator the header is a list: every item that starts
like the signature is a candidate, items of unknown kinds are passed over, and no item chooses an algorithm.
"""

from __future__ import annotations

from typing import NamedTuple

from kanca.providers.template import Slot, parse_template
from kanca.providers.verdict import Refusal, RefusalCode

MAX_HEADER_BYTES = 4096
MAX_SIGNATURES = 10

_SLOTS = {"signature": False, "timestamp": False}


class Claim(NamedTuple):
    """What a signature header says; nothing of it is proven yet."""

    signatures: list[bytes]
    timestamp: bytes | None


class HeaderForm:
    """A header form, ready to read and write headers."""

    def __init__(self, form: str, separator: str) -> None:
        """Raises ValueError when the form cannot be read back."""
        self._form = form
        self._separator = separator.encode("ascii")
        prefixes: dict[str, bytes] = {}
        for item in form.split(separator) if separator else [form]:
            prefix, slot = _item(item.strip())
            if slot in prefixes:
                raise ValueError(f"`{form}` has {{{slot}}} twice")
            prefixes[slot] = prefix
        if "signature" not in prefixes:
            raise ValueError(f"`{form}` has no {{signature}}")
        self._signature_prefix = prefixes["signature"]
        self._timestamp_prefix = prefixes.get("timestamp")
        if len(prefixes) > 1 and _confusable(*prefixes.values()):
            raise ValueError(f"the items of `{form}` do not start differently")

    @property
    def has_timestamp(self) -> bool:
        """Whether the header carries the signed time too."""
        return self._timestamp_prefix is not None

    def read(self, value: bytes) -> Claim | Refusal:
        """What the header claims: at least one signature and at most ten, still encoded."""
        if len(value) > MAX_HEADER_BYTES:
            return _malformed(f"the signature header has more than {MAX_HEADER_BYTES} bytes")
        if not self._separator:
            return self._read_single(value)
        signatures: list[bytes] = []
        timestamps: list[bytes] = []
        for item in value.split(self._separator):
            entry = item.strip()
            if entry.startswith(self._signature_prefix):
                signatures.append(entry[len(self._signature_prefix) :])
            elif self._timestamp_prefix is not None and entry.startswith(self._timestamp_prefix):
                timestamps.append(entry[len(self._timestamp_prefix) :])
        if not signatures:
            return _malformed(f"the signature header has no item of the form `{self._form}`")
        if len(signatures) > MAX_SIGNATURES or len(timestamps) > 1:
            return _malformed(
                f"the signature header has more than {MAX_SIGNATURES} signatures or one timestamp"
            )
        return Claim(signatures, timestamps[0] if timestamps else None)

    def write(self, signature: str, timestamp: str) -> str:
        """The header's value for one signature."""
        return self._form.replace("{timestamp}", timestamp).replace("{signature}", signature)

    def _read_single(self, value: bytes) -> Claim | Refusal:
        if not value.startswith(self._signature_prefix):
            return _malformed(f"the signature header does not have the form `{self._form}`")
        return Claim([value[len(self._signature_prefix) :]], None)


def _item(text: str) -> tuple[bytes, str]:
    """An item's literal beginning and its slot."""
    *literals, slot = parse_template(text, _SLOTS) or ("",)
    prefix = "".join(literal for literal in literals if isinstance(literal, str))
    if not isinstance(slot, Slot) or any(isinstance(part, Slot) for part in literals) or not prefix.isascii():
        raise ValueError(f"`{text}` is not literal ASCII text with one slot behind it")
    return prefix.encode("ascii"), slot.name


def _confusable(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def _malformed(detail: str) -> Refusal:
    return Refusal(RefusalCode.SIGNATURE_MALFORMED, detail)
