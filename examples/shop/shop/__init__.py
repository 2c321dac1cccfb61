"""A small shop whose events are handled by Kanca."""
