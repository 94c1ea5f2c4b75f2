"""What a column of a table may be, one kind a file, and how it is recognised.

Each kind is a dataclass of plain values, so that it is saved as it is: what ``fit`` learnt of one column. ``view`` is a
column while it is looked at: distinct cells and what was read from them, kept for the next who asks. ``numbers``,
``times``, ``words`` and ``many`` have the kinds that become numbers (``numbers(view)``), ``hashed`` the one that
becomes sparse columns. ``recognition`` decides which kind a column is and says why; ``memory`` tells the size of the
result before it is made; ``fitted`` puts the columns of a table together.
"""
