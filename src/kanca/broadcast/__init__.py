"""Telling all processes something at once, over Redis or Valkey where one is configured."""
