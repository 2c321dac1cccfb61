"""The registry of refusals."""

from __future__ import annotations

from kanca.ingest.refusal import RULES
from kanca.providers import RefusalCode

ALLOWED = {400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 503}


def test_every_refusal_has_a_status_of_the_contract_and_a_sentence() -> None:
    for code, rule in RULES.items():
        assert rule.status in ALLOWED, code
        assert rule.detail.endswith("."), code
        assert rule.title[0].isupper(), code
        assert (rule.retry_after_s is not None) == (rule.status == 503 or code == "commit_queue_full"), code


def test_what_is_not_proven_is_401_whatever_is_missing() -> None:
    assert {RULES[code].status for code in RefusalCode} == {401}
