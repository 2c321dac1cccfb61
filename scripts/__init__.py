"""Tools of the house: run in place, never installed."""
