from typing import Any

import pytest

from kanca.domain.task import order_key_of
from kanca.handlers.ordering import key_by_function, key_by_path
from kanca.testing import make_event


@pytest.mark.parametrize(
    ("data", "text"), [({"customer": {"id": "c-1"}}, "c-1"), ({"customer": {"id": 7}}, "7")]
)
def test_the_key_is_found_by_its_path(data: Any, text: str) -> None:
    assert key_by_path("customer.id", data) == order_key_of(text)


@pytest.mark.parametrize(
    "data", [{}, {"customer": None}, {"customer": {"id": None}}, {"customer": {"id": {}}}, [], "x", None]
)
def test_what_has_no_key_has_no_order(data: Any) -> None:
    assert key_by_path("customer.id", data) is None


def test_a_function_makes_the_key_from_the_event() -> None:
    event = make_event("order.created", {}, tenant="acme")
    assert key_by_function(lambda event: event.tenant, event) == order_key_of("acme")
    assert key_by_function(lambda event: 7, event) == order_key_of("7")
    assert key_by_function(lambda event: None, event) is None
