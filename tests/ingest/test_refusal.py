"""The registry of refusals."""

from __future__ import annotations

from kanca.ingest.refusal import CAUSES, INVALID_SIGNATURE, INVALID_TOKEN, RULES
from kanca.providers import RefusalCode

ALLOWED = {400, 401, 403, 404, 405, 408, 410, 413, 415, 429, 431, 500, 503}


def test_every_refusal_has_a_status_of_the_contract_and_a_sentence() -> None:
    for code, rule in RULES.items():
        assert rule.status in ALLOWED, code
        assert rule.detail.endswith(".") or code in (INVALID_SIGNATURE, INVALID_TOKEN), code
        assert rule.title[0].isupper(), code
        assert (rule.retry_after_s is not None) == (rule.status == 503 or code == "commit_queue_full"), code


def test_what_is_wrong_with_a_proof_has_a_sentence_and_is_no_code_for_callers() -> None:
    assert set(RefusalCode) <= CAUSES.keys()
    assert all(sentence.endswith(".") for sentence in CAUSES.values())
    assert not CAUSES.keys() & RULES.keys()
