"""Cells of text as numbers, times and hashed words; nothing for C yet."""
