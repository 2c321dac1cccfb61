"""The durable task queue: what it promises, and the duties that keep it."""
