"""Cells of text as numbers; nothing for C yet."""
