"""What endpoints and subscriptions use expressions for, and what each may speak of."""

from __future__ import annotations

from kanca.expressions.expression import Expression, compile_expression

ANSWER_NAMES = frozenset({"event", "endpoint", "status"})
FILTER_NAMES = frozenset({"event"})


def compile_answer(source: str) -> Expression:
    """The body of an answer. A gateway evaluates it, so it runs over no lists. Raises InvalidExpression."""
    return compile_expression(source, ANSWER_NAMES, allow_comprehensions=False)


def compile_filter(source: str) -> Expression:
    """Whether anything is done for an event. A worker evaluates it. Raises InvalidExpression."""
    return compile_expression(source, FILTER_NAMES, allow_comprehensions=True)


def compile_tail_filter(source: str) -> Expression:
    """Whether a tail shows an event. A gateway evaluates it, so it runs over no lists. Raises InvalidExpression."""
    return compile_expression(source, FILTER_NAMES, allow_comprehensions=False)


def compile_transform(source: str) -> Expression:
    """What a subscription is sent in place of the envelope. A worker evaluates it. Raises InvalidExpression."""
    return compile_expression(source, FILTER_NAMES, allow_comprehensions=True)


def compile_fifo_key(source: str) -> Expression:
    """Whose turn a delivery waits for. A worker evaluates it. Raises InvalidExpression."""
    return compile_expression(source, FILTER_NAMES, allow_comprehensions=True)
