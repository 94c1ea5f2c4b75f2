"""Arrays by name in one block of bytes, in the safetensors format.

Eight bytes little-endian: the length of the header. The header: a JSON object from names to dtype, shape and the
span of bytes, counted from the header's end. Then the arrays in C order, little-endian, without gaps
(https://huggingface.co/docs/safetensors, "Format").
"""

import json
import math

import numpy as np

_CODES = {
    "bool": "BOOL",
    "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64",
    "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
    "float16": "F16", "float32": "F32", "float64": "F64",
}
_DTYPES = {code: np.dtype(name).newbyteorder("<") for name, code in _CODES.items()}


def encode_tensors(tensors):
    """Bytes of the file that holds ``tensors``, a dict of arrays."""
    # Wide elements first: then each array starts at a multiple of its own width.
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header, chunks, offset = {}, [], 0
    for name in order:
        array = tensors[name]
        chunk = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        span = [offset, offset + len(chunk)]
        header[name] = {"dtype": _CODES[array.dtype.name], "shape": list(array.shape), "data_offsets": span}
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *chunks])


def _unique(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ValueError("a key stands twice")
    return dict(pairs)


def decode_tensors(data, name):
    """The arrays in ``data``, the bytes of a file that messages call ``name``; each owns its memory."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise ValueError(f"{name} is cut short: {len(data)} bytes do not hold a header of {length}")
    try:
        header = json.loads(data[8 : 8 + length].decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} has a header that is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise ValueError(f"{name} has a header that is not a JSON object")
    header.pop("__metadata__", None)
    payload = memoryview(data)[8 + length :]
    tensors, spans = {}, []
    for key, entry in header.items():
        dtype, shape, (start, stop) = _entry(entry, key, name)
        if not 0 <= start <= stop <= len(payload):
            raise ValueError(f"{name}: array {key!r} has bytes {start} to {stop} of {len(payload)}")
        if stop - start != math.prod(shape) * dtype.itemsize:
            raise ValueError(
                f"{name}: array {key!r} has {stop - start} bytes, shape {shape} of {dtype.name} needs "
                f"{math.prod(shape) * dtype.itemsize}"
            )
        spans.append((start, stop))
        native = dtype.newbyteorder("=")
        tensors[key] = np.frombuffer(payload[start:stop], dtype=dtype).astype(native).reshape(shape)
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise ValueError(f"{name} has arrays that overlap or leave a gap at byte {min(start, end)}")
        end = stop
    if end != len(payload):
        raise ValueError(f"{name} has {len(payload) - end} bytes that belong to no array")
    return tensors


def _entry(entry, key, name):
    good = isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}
    if good:
        shape, span = entry["shape"], entry["data_offsets"]
        numbers = [*shape, *span] if isinstance(shape, list) and isinstance(span, list) else [None]
        good = len(numbers) >= 2 and len(span) == 2 and all(type(n) is int and n >= 0 for n in numbers)
    if not good or entry["dtype"] not in _DTYPES:
        raise ValueError(f"{name}: array {key!r} has a header entry that is not one: {entry!r}")
    return _DTYPES[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
