from __future__ import annotations

import pytest

from kanca.errors import InvalidExpression
from kanca.expressions.uses import compile_answer, compile_filter, compile_tail_filter


def test_what_a_gateway_evaluates_runs_over_no_list_and_a_filter_may() -> None:
    source = "event.data.items.exists(item, item.price > 10)"
    assert compile_filter(source).names == {"event"}
    for compile_in_a_gateway in (compile_answer, compile_tail_filter):
        with pytest.raises(InvalidExpression, match="runs over a list"):
            compile_in_a_gateway(source)


def test_each_speaks_of_what_there_is_and_nothing_else() -> None:
    assert compile_answer("event.id + endpoint.id + status").names == {"event", "endpoint", "status"}
    for source in ("status == 'accepted'", "run.id == ''", "steps.a == 1"):
        with pytest.raises(InvalidExpression, match="unknown name"):
            compile_filter(source)
