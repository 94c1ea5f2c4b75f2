"""Codes of Python objects; no C door."""
