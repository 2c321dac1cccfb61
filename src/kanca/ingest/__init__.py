"""The hot path: a webhook in, verified on its raw bytes, committed with the work it causes, answered."""
