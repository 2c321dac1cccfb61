"""CEL expressions: filters, branches, transforms and correlation keys, checked when saved and bounded when run.

``compile_expression(source, names, allow_comprehensions=…)`` refuses everything that is wrong with a source, with its
position: what is not CEL, names that are not declared, functions that there are not, patterns that are no regular
expressions. ``Expression.evaluate(variables)`` then answers in plain JSON values or raises ``ExpressionFailed``.

CEL ends always, but not soon: three nested ``map`` over 60 items take 2.4 s, with the interpreter's lock held. The rule
that bounds it:

1. The source has at most 4096 characters, 40 levels of nesting, and 8 comprehensions (``all``, ``exists``,
   ``exists_one``, ``map``, ``filter``) of which 2 may be nested; patterns of ``matches()`` are literals, small once
   their repetitions are written out (``patterns.py``).
2. Only the parts of the inputs that an expression refers to are passed on (``inputs.py``).
3. Before an evaluation runs, its cost is estimated from the tree and the actual sizes of those parts, always from
   above (``cost.py``). More than 50 ms (10 ms without comprehensions) and it is not run: ``ExpressionFailed`` with the
   reason ``too_expensive``. The answer depends on source and input alone, never on how busy the machine is; an
   expression that costs too much whatever its input is refused when saved.

Measured with the largest input that each of 51 adversarial expressions still accepts (nested and chained
comprehensions, doubling of texts and lists, maps, errors swallowed by ``||``, patterns whose automata explode,
conversions of 1 MiB texts), on one core of a shared 2-core machine: the worst evaluation took 59 ms where the limit is
50 ms and 12 ms where it is 10 ms, most took half of the limit; 100 000 random expressions over random inputs stayed
below 34 ms. An ordinary filter takes 12 µs.

What the library does differently from the CEL specification shows through: ``size("é")`` is 2 (bytes), ``string()``
takes no booleans, the order in which a loop meets the keys of a map is not fixed, ``-x`` of the smallest whole number
is that number, and a duration that is too long is the longest there is. All else that is out of range is an error.
"""

from kanca.expressions.expression import Expression, compile_expression

__all__ = ["Expression", "compile_expression"]
