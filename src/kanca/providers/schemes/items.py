"""Bodies whose items are signed one by one: every item must be right, or none is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from msgspec.structs import replace

from kanca.bodies import Body, Kind
from kanca.errors import InvalidInput
from kanca.providers.locations import find, parse_path
from kanca.providers.schemes.draft import Draft
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest, Verdict, Verified

MOST_ITEMS = 1000


class ItemChecker(Protocol):
    """Checks one item as if it were the body."""

    missing: RefusalCode
    place_name: str
    find: Callable[[SignedRequest], bytes | None]

    def check(self, request: SignedRequest, value: bytes, secrets: Sequence[str], now: float, /) -> Verdict:
        """Judge the item by its signature."""


class ItemsChecker:
    """Checks every item of a list in the body."""

    def __init__(self, one: ItemChecker, each: str) -> None:
        self.missing = one.missing
        self.place_name = f"{one.place_name} of every item of `{each}`"
        self._one = one
        self._each = each
        self._path = parse_path(each)

    def find(self, request: SignedRequest) -> bytes | None:
        """Something, where there are items: whether each has its proof is looked at with it."""
        items = find(request.document(), self._path)
        return b"" if isinstance(items, list) and items else None

    def check(self, request: SignedRequest, _first: bytes, secrets: Sequence[str], now: float) -> Verdict:
        """Judge all items: the first that is not right decides."""
        items = self._items(request)
        if len(items) > MOST_ITEMS:
            return Refusal(
                RefusalCode.SIGNATURE_MALFORMED, f"`{self._each}` has more than {MOST_ITEMS} items"
            )
        verified: list[Verified] = []
        for number, item in enumerate(items):
            value = self._one.find(item)
            if value is None:
                return Refusal(self.missing, f"item {number} of `{self._each}` is not signed")
            verdict = self._one.check(item, value, secrets, now)
            if not isinstance(verdict, Verified):
                return verdict
            verified.append(verdict)
        ids = sorted({one.signed_id for one in verified if one.signed_id})
        return Verified(verified[0].secret_index, verified[0].signed_at, _id_of_all(ids))

    def _items(self, request: SignedRequest) -> list[SignedRequest]:
        items = find(request.document(), self._path)
        # One more than are allowed, so that there are seen to be too many.
        beginning = items[: MOST_ITEMS + 1] if isinstance(items, list) else []
        return [replace(request, _read=Body(Kind.JSON, item)) for item in beginning]


def _id_of_all(ids: Sequence[bytes]) -> bytes | None:
    """One id for the items together, in whatever order they come."""
    if len(ids) < 2:
        return ids[0] if ids else None
    return hashlib.sha256(b" ".join(ids)).hexdigest().encode()


def sign_items(draft: Draft, each: str, sign: Callable[[Draft], Draft]) -> Draft:
    """The draft with every item of its list signed. Raises InvalidInput for a body that has no such list."""
    try:
        document: Any = json.loads(draft.body)
    except ValueError as error:
        raise InvalidInput("The body is not JSON, and its items are signed.") from error
    items = find(document, parse_path(each))
    if not isinstance(items, list):
        raise InvalidInput(f"The body has no list at `{each}`, whose items are signed.")
    signed = [sign(replace(draft, body=json.dumps(item).encode())) for item in items]
    items[:] = [json.loads(item.body) for item in signed]
    return replace(draft, body=json.dumps(document, separators=(",", ":")).encode())
