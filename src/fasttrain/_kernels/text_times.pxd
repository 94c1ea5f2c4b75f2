"""Cells of text as dates and times; nothing for C yet."""
