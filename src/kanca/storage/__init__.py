"""Engine, tables, queries, and the one package that knows dialects."""
