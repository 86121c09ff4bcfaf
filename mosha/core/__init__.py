"""Decisions, and nothing else: no clock, chance, file, log line or task in here."""
