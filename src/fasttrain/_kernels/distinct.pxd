"""The distinct numbers of columns; nothing for C yet."""
