"""Workflows: graphs of nodes, what may stand in them, and the engine that runs them."""
