"""Cells of text as words at hashed places; nothing for C yet."""
