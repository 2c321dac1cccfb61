from __future__ import annotations

import inspect

from kanca import errors
from kanca.errors import KancaError
from kanca.ingest.refusal import CAUSES, RULES
from scripts.api_pages import all_errors, errors_page


def test_every_code_has_its_place_and_its_meaning() -> None:
    page = errors_page()
    for error in all_errors():
        assert page.count(f'<a id="api-{error.code}"></a>`{error.code}` | {error.status} |') == 1
    for code, rule in RULES.items():
        assert page.count(f'<a id="webhooks-{code}"></a>`{code}` | {rule.status} |') == 1
    for code, meaning in CAUSES.items():
        assert page.count(f'<a id="cause-{code}"></a>`{code}` | {meaning} |') == 1


def test_every_error_is_found() -> None:
    declared = {
        value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, KancaError)
    }
    assert set(all_errors()) == declared


def test_every_error_says_what_it_means_in_a_line() -> None:
    for error in all_errors():
        assert (error.__doc__ or "").splitlines()[0].endswith("."), error
