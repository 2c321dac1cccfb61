"""Python handlers: what they listen to, what they are given, and how a call of one ends."""
