"""How much is read at once and how far ahead, by what a source says of its blocks and may take of memory.

Nothing here changes the order of rows: of a source with less memory fewer blocks are read at once, and at last nothing
while others are trained on.
"""

from typing import NamedTuple

from fasttrain._kernels.threads import get_num_threads

# Each has what it decodes in memory, and on small machines all cores have work by then.
MOST_READERS = 4
# Of each row that is trained on, beside what its source says of it: its number in the order of the rows, in the widths
# of whoever draws it and of whoever follows it, and its target as the loss wants it.
ROW_BYTES = 24


class BlockBytes(NamedTuple):
    """Bytes of memory of the largest block of a source.

    Attributes
    ----------
    rows : int
        Of its rows, with ``ROW_BYTES`` for each.
    reading : int
        What reading it takes beside them, with what the reader's allocator keeps.
    """

    rows: int
    reading: int


def _most_readers(source):
    return min(MOST_READERS, get_num_threads()) if source.concurrent and source.read_ahead else 1


def pass_room(source, direct):
    """(threads that read, buffers) of a pass that trains on ``buffer_blocks`` blocks together.

    ``direct`` says whether blocks are read into the buffer; where not, a reader has up to two of its own.
    """
    most = _most_readers(source)
    if source.memory is None or not source.read_ahead:
        return most, 2 if source.read_ahead else 1
    rows, reading = source.block_bytes()
    a_reader = reading + (0 if direct else 2 * rows)
    choices = [(n_readers, n_buffers) for n_buffers in (2, 1) for n_readers in range(most, 0, -1)]
    return next((
        choice for choice in choices
        if choice[0] * a_reader + choice[1] * source.buffer_blocks * rows <= source.memory), choices[-1])


def stream_room(source):
    """(threads that read, blocks that are ready ahead) of a pass that takes blocks one by one."""
    most = _most_readers(source)
    if source.memory is None or not source.read_ahead:
        return most, 1 if source.read_ahead else 0
    rows, reading = source.block_bytes()
    for n_readers in range(most, 0, -1):
        # that of each reader, one that is ready, one on its way to be, and the one that is worked on
        if n_readers * (reading + rows) + 3 * rows <= source.memory:
            return n_readers, 1
    return 1, 0


def require_room(source):
    """ValueError unless a pass over a source fits in its ``memory`` in some way."""
    if source.memory is None:
        return
    rows, reading = source.block_bytes()
    # a pass that takes blocks one by one has two at a time
    needed = max(source.buffer_blocks, 2) * rows + reading
    if needed > source.memory:
        raise ValueError(
            f"memory must be at least {needed} bytes here, {source.buffer_blocks} blocks (buffer_blocks) of up to "
            f"{rows} bytes and {reading} to read one, got {source.memory}: {source.smaller_blocks}")
