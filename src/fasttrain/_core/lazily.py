"""What an object finds out about itself when it is first asked, and keeps."""


class lazy:
    """Method decorator: ``functools.cached_property`` for objects that one thread has.

    Up to Python 3.11 that takes a lock at each first look, for which a small table waits as long as for its numbers.
    """

    def __init__(self, method):
        self.method = method
        self.name = method.__name__
        self.__doc__ = method.__doc__

    def __get__(self, owner, kind=None):
        if owner is None:
            return self
        # found before this one from now on
        value = vars(owner)[self.name] = self.method(owner)
        return value


__all__ = ["lazy"]
