"""Kanca: a self-hosted webhook platform."""
