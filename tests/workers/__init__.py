"""Workers on real databases."""
