"""Sending: publishing events, finding their subscriptions, signing and delivering."""
