"""Codes of Python objects; nothing for C."""
