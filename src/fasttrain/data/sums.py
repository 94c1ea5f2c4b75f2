"""Sums over blocks in an order that hangs on the blocks' numbers only, wherever their parts were computed."""


class SumTree:
    """Adds things up, given one after the other, in pairs: the tree hangs on how many there are and on nothing else.

    Thing 0 and 1 are added, 2 and 3, then these two sums, and so on; what is left over at the end is added from the
    last to the first. So 2^k things that begin at a multiple of 2^k may be added elsewhere, in the same pairs, and
    given as one by ``level``. At most log2(n) + 1 things are kept.
    """

    def __init__(self):
        self._kept = []

    def add(self, thing, level=0):
        """Take the next thing; with ``level`` the sum of the next 2^level things."""
        while self._kept and self._kept[-1][0] == level:
            _, before = self._kept.pop()
            thing, level = before + thing, level + 1
        self._kept.append((level, thing))

    def total(self):
        """The sum of all of them; None of none."""
        kept = [thing for _, thing in self._kept]
        if not kept:
            return None
        total = kept.pop()
        while kept:
            total = kept.pop() + total
        return total
