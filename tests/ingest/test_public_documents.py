from __future__ import annotations

import asyncio

from kanca.errors import EgressFailed
from kanca.ingest.public_documents import (
    KEPT_FOR,
    MAX_DOCUMENTS,
    MAX_FETCHES,
    RETRIED_AFTER,
    PublicDocuments,
    nowhere,
)

KNOWN = "https://certs.example.com/known"


class _Provider:
    """Has one document, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at = 0.0
        self.is_down = False
        self.document = b"certificate"

    async def get(self, url: str) -> tuple[int, bytes]:
        self.asked.append(url)
        await asyncio.sleep(0)
        if self.is_down:
            raise EgressFailed("refused", reason="connection_refused")
        return (200, self.document) if url == KNOWN else (404, b"")

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


async def test_a_document_is_fetched_once_an_hour() -> None:
    provider = _Provider()
    documents = provider.documents()
    assert await documents.get(KNOWN) == b"certificate"
    provider.document = b"newer"
    provider.at += KEPT_FOR.total_seconds() - 1
    assert await documents.get(KNOWN) == b"certificate"
    provider.at += 1
    assert await documents.get(KNOWN) == b"newer"
    assert len(provider.asked) == 2


async def test_an_outdated_document_is_fetched_anew_but_not_again_and_again() -> None:
    provider = _Provider()
    documents = provider.documents()
    await documents.get(KNOWN)
    provider.document = b"newer"
    provider.at += RETRIED_AFTER.total_seconds() - 1
    assert await documents.get(KNOWN, is_outdated=True) == b"certificate"
    provider.at += 1
    assert await documents.get(KNOWN, is_outdated=True) == b"newer"
    provider.at += RETRIED_AFTER.total_seconds() - 1
    assert await documents.get(KNOWN, is_outdated=True) == b"newer"
    assert len(provider.asked) == 2


async def test_a_failure_stands_for_half_a_minute() -> None:
    provider = _Provider()
    documents = provider.documents()
    provider.is_down = True
    assert await documents.get(KNOWN) is None
    provider.is_down = False
    provider.at += RETRIED_AFTER.total_seconds() - 1
    assert await documents.get(KNOWN) is None
    provider.at += 1
    assert await documents.get(KNOWN) == b"certificate"
    assert len(provider.asked) == 2


async def test_only_so_many_documents_are_kept_and_the_oldest_goes() -> None:
    asked: list[str] = []
    at = 0.0

    async def get(url: str) -> tuple[int, bytes]:
        asked.append(url)
        return 200, b"certificate"

    documents = PublicDocuments(get, lambda: at)
    for number in range(MAX_DOCUMENTS + 1):
        await documents.get(f"https://certs.example.com/{number}")
        at += 2
    asked.clear()
    await documents.get("https://certs.example.com/1")
    assert asked == []
    await documents.get("https://certs.example.com/0")
    assert len(asked) == 1


async def test_a_process_that_reaches_nobody_has_no_documents() -> None:
    assert await PublicDocuments(nowhere).get(KNOWN) is None
