"""Messages about what lies in a block, with the place of it."""


def placed(error, place):
    """A TypeError or ValueError with the place of what is wrong before its message.

    Of the same class, unless that is made of more than a message, as JSONDecodeError and UnicodeDecodeError are; by the
    error's own ``at(place)`` where it has that.
    """
    if hasattr(error, "at"):
        return error.at(place)
    message = f"{place}: {error}"
    try:
        return type(error)(message)
    except TypeError:
        return TypeError(message) if isinstance(error, TypeError) else ValueError(message)
