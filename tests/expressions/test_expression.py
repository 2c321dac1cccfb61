from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from kanca.errors import ExpressionFailed, InvalidExpression
from kanca.expressions import compile_expression
from kanca.expressions.results import JsonValue

EVENT = {
    "type": "order.created",
    "data": {"id": "ORD-1", "total": 120.5, "items": [{"sku": "A", "qty": 2}, {"sku": "B", "qty": 0}]},
    "received_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
}


def value_of(source: str, event: object = EVENT) -> JsonValue:
    return compile_expression(source, frozenset({"event"}), allow_comprehensions=True).evaluate(
        {"event": event}
    )


def failure_of(source: str, event: object = EVENT) -> ExpressionFailed:
    with pytest.raises(ExpressionFailed) as caught:
        value_of(source, event)
    return caught.value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("event.type == 'order.created' && event.data.total > 100.0", True),
        ("event.data.items.filter(i, i.qty > 0).map(i, i.sku)", ["A"]),
        ("event.data.items.exists(i, i.sku == 'B')", True),
        ("{'id': event.data.id, 'n': event.data.items.size()}", {"id": "ORD-1", "n": 2}),
        ("has(event.data.coupon) ? event.data.coupon : 'none'", "none"),
        ("event.data.id.matches('^ORD-[0-9]+$')", True),
        ("event.received_at + duration('1h')", "2026-01-02T04:04:05Z"),
        ("duration('90m')", "5400s"),
        ("b'abc'", "YWJj"),
        ("event.data['total']", 120.5),
        ("event.data.missing == 1 || true", True),
        ("type(event.data.items)", "list"),
    ],
)
def test_expressions_are_evaluated_to_json(source: str, value: JsonValue) -> None:
    assert value_of(source) == value


@pytest.mark.parametrize(
    ("source", "reason", "detail"),
    [
        ("event.data.coupon == 'x'", "missing_key", "there is no key 'coupon'"),
        ("event.data.items[5]", "missing_key", "the list has no such position"),
        ("event.data.total / 0.0 > event.data.id", "type_mismatch", "an operation does not fit"),
        ("event.data.total + 1", "type_mismatch", "an operation does not fit"),
        ("size(event.data.total)", "type_mismatch", "size() cannot be used on this value"),
        ("int(event.data.id)", "type_mismatch", "int() cannot be used on this value"),
        ("event.data.items[0].qty / 0", "division_by_zero", "division by zero"),
        ("event.data.items[0].qty + 9223372036854775807", "out_of_range", "a number or time is out of range"),
        ("event.data.total / 0.0", "bad_result", "the result has a number that is not finite"),
    ],
)
def test_a_failure_says_why_in_our_own_words(source: str, reason: str, detail: str) -> None:
    failure = failure_of(source)
    assert failure.code == "expression_failed"
    assert failure.facts["reason"] == reason
    assert failure.detail.startswith(detail)


def test_a_failure_does_not_quote_the_values_it_worked_on() -> None:
    for source in ("event.secret + 1", "int(event.secret)", "timestamp(event.secret)", "event.secret.x"):
        failure = failure_of(source, {"secret": "hunter2"})
        assert "hunter2" not in str(failure.facts) + failure.detail
        assert failure.__suppress_context__


def test_a_key_in_a_failure_is_shortened() -> None:
    assert len(failure_of("event.a[event.k]", {"a": {}, "k": "k" * 10_000}).detail) < 200


def test_evaluate_bool_takes_nothing_for_true() -> None:
    names = frozenset({"event"})
    assert compile_expression("true", names, allow_comprehensions=False).evaluate_bool({}) is True
    for source in ("1", "'true'", "null", "event"):
        compiled = compile_expression(source, names, allow_comprehensions=False)
        with pytest.raises(ExpressionFailed) as caught:
            compiled.evaluate_bool({"event": {"a": 1}})
        assert caught.value.facts["reason"] == "not_bool"


def test_numbers_up_to_64_bits_are_exact_and_larger_ones_are_refused() -> None:
    assert value_of("string(event)", 2**64 - 1) == "18446744073709551615"
    assert value_of("event > 5 && event == 9223372036854775808u", 2**63) is True
    assert value_of("event", -(2**63)) == -(2**63)
    assert failure_of("event", 2**64).facts["reason"] == "bad_value"
    assert failure_of("event", 10**400).facts["reason"] == "bad_value"


def test_numbers_that_json_allows_and_floats_do_not_hold_are_no_crash() -> None:
    assert value_of("event > 1.0", float("inf")) is True
    assert value_of("event == event", float("nan")) is False
    assert value_of("event == -0.0", 0.0) is True


def test_one_source_is_compiled_once() -> None:
    first = compile_expression("event.a == 1", {"event"}, allow_comprehensions=False)
    assert compile_expression("event.a == 1", frozenset({"event"}), allow_comprehensions=False) is first
    assert compile_expression("event.a == 1", {"event", "run"}, allow_comprehensions=False) is not first


def test_the_names_of_an_expression_are_the_variables_it_needs() -> None:
    compiled = compile_expression("event.a == 1", {"event", "run"}, allow_comprehensions=False)
    assert compiled.names == {"event"}
    assert compiled.evaluate({"event": {"a": 1}}) is True


def test_an_expression_may_be_used_from_several_threads() -> None:
    compiled = compile_expression("event.a + event.a", {"event"}, allow_comprehensions=False)
    results: list[JsonValue] = []

    def work(number: int) -> None:
        results.extend(compiled.evaluate({"event": {"a": number}}) for _ in range(200))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=str) == sorted([2 * number for number in range(4)] * 200, key=str)


def test_what_only_the_library_refuses_is_an_invalid_expression_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_source: str) -> None:
        raise ValueError("Failed to parse expression: ERROR: <input>:1:9: something foreign")

    monkeypatch.setattr("cel.compile", refuse)
    with pytest.raises(InvalidExpression) as caught:
        compile_expression("event.a == 'only the library objects'", {"event"}, allow_comprehensions=False)
    assert caught.value.detail == "line 1, column 9: this is not CEL"


def test_a_name_that_only_the_library_sees_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Program:
        def variables(self) -> list[str]:
            return ["event", "hidden"]

    monkeypatch.setattr("cel.compile", lambda _source: Program())
    with pytest.raises(InvalidExpression, match="unknown name 'hidden'"):
        compile_expression("event.a == 'read differently'", {"event"}, allow_comprehensions=False)


class PanicException(BaseException):
    """Looks like a panic of the library's Rust code, which is no Exception."""


PanicException.__module__ = "pyo3_runtime"


def test_a_panic_of_the_library_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    class Program:
        def variables(self) -> list[str]:
            return ["event"]

        def execute(self, _values: object) -> None:
            raise PanicException("index out of bounds")

    monkeypatch.setattr("cel.compile", lambda _source: Program())
    compiled = compile_expression("event.a == 'panics'", {"event"}, allow_comprehensions=False)
    with pytest.raises(ExpressionFailed, match="could not be evaluated"):
        compiled.evaluate({"event": {"a": 1}})


def test_durations_are_passed_in_and_out() -> None:
    assert value_of("event + duration('30s')", timedelta(minutes=1)) == "90s"


def test_the_keys_that_a_source_names_are_known() -> None:
    source = "steps.a.x + steps['b'] + steps.a.y + [1].map(steps, steps.c)[0] + steps[event.d]"
    compiled = compile_expression(source, {"event", "steps", "run"}, allow_comprehensions=True)
    assert compiled.keys_of("steps") == {"a", "b"}
    assert compiled.keys_of("event") == {"d"}
    assert compiled.keys_of("run") == frozenset()
