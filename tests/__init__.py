"""The tests, in the same tree as the source. A package, so that no other distribution's ``tests`` can hide it."""
