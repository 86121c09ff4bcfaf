"""Decisions only: no clock, randomness, file, log line or task in here."""
