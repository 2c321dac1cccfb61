"""Workers: claim tasks, find out who wants an event, do the work, and record what came of it."""
