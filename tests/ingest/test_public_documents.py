from __future__ import annotations

import asyncio

from kanca.errors import EgressFailed
from kanca.ingest.public_documents import (
    KEPT_FOR,
    MAX_DOCUMENTS,
    MAX_FETCHES,
    RETRIED_AFTER,
    PublicDocuments,
)

KNOWN = "https://certs.example.com/known"


class _Provider:
    """Has one document, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at = 0.0
        self.is_down = False

    async def get(self, url: str) -> tuple[int, bytes]:
        self.asked.append(url)
        await asyncio.sleep(0)
        if self.is_down:
            raise EgressFailed("refused", reason="connection_refused")
        return (200, b"certificate") if url == KNOWN else (404, b"")

    def documents(self) -> PublicDocuments:
        return PublicDocuments(self.get, lambda: self.at)


async def test_all_who_wait_for_a_document_share_one_fetch() -> None:
    provider = _Provider()
    documents = provider.documents()
    assert await asyncio.gather(*(documents.get(KNOWN) for _ in range(10))) == [b"certificate"] * 10
    assert provider.asked == [KNOWN]


async def test_who_goes_away_does_not_end_the_fetch_for_others() -> None:
    provider = _Provider()
    documents = provider.documents()
    gone, stays = (asyncio.create_task(documents.get(KNOWN)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == b"certificate"
    assert provider.asked == [KNOWN]


async def test_forged_addresses_make_the_provider_be_asked_a_few_times_only() -> None:
    provider = _Provider()
    documents = provider.documents()
    forged = [f"https://certs.example.com/{number}" for number in range(500)]
    assert set(await asyncio.gather(*(documents.get(url) for url in forged))) == {None}
    assert len(provider.asked) == MAX_FETCHES
    provider.at += RETRIED_AFTER.total_seconds()
    assert await documents.get(KNOWN) == b"certificate"


async def test_forged_addresses_do_not_drive_out_a_document_that_is_there() -> None:
    provider = _Provider()
    documents = provider.documents()
    assert await documents.get(KNOWN) == b"certificate"
    for number in range(MAX_DOCUMENTS + 1):
        provider.at += RETRIED_AFTER.total_seconds()
        await documents.get(f"https://certs.example.com/{number}")
    provider.asked.clear()
    provider.at = KEPT_FOR.total_seconds() - 1
    assert await documents.get(KNOWN) == b"certificate"
    assert provider.asked == []


async def test_an_old_copy_is_used_while_there_is_no_newer_one_to_be_had() -> None:
    provider = _Provider()
    documents = provider.documents()
    assert await documents.get(KNOWN) == b"certificate"
    provider.is_down = True
    provider.at += KEPT_FOR.total_seconds()
    assert await documents.get(KNOWN) == b"certificate"
    for number in range(MAX_FETCHES):
        await documents.get(f"https://certs.example.com/{number}")
    provider.at += KEPT_FOR.total_seconds()
    for number in range(MAX_FETCHES):
        await documents.get(f"https://certs.example.com/more/{number}")
    assert await documents.get(KNOWN) == b"certificate"
