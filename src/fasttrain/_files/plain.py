"""Plain values as JSON and arrays: whatever JSON has no word for is an object whose key "@" says what it is."""

import math

import numpy as np

# Errors with which a decoder, or what it calls, meets content that is not what an encoder wrote.
DECODING_ERRORS = (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError)

# Values within values: deeper than any estimator holds them, shallow enough for the interpreter's stack.
DEEPEST = 64
# What arrays of text may take beyond the text itself: their elements are as wide as the dtype says.
SPARE_BYTES = 1 << 24


class Encoder:
    """Plain values to what JSON can hold.

    Parameters
    ----------
    more : callable, optional
        From (value, where, encoder) to the JSON of a kind of value that is not plain, or None for any other.

    Attributes
    ----------
    tensors : dict
        The numeric arrays met so far, by names that begin with ``where``. One that is met twice has one name.
    """

    def __init__(self, more=None):
        self.tensors = {}
        self._names = {}
        self._more = more
        self._spare = SPARE_BYTES

    def __call__(self, value, where):
        """JSON of None, a bool, number, str, list, tuple, dict, NumPy array, scalar or dtype, or what ``more`` takes.

        ``where`` is what messages call the value; any other kind is a TypeError.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"@": "float", "value": repr(value)}
        found = None if self._more is None else self._more(value, where, self)
        if found is not None:
            return found
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if isinstance(value, np.generic):
            return {"@": "scalar", "dtype": value.dtype.str, "value": self(value.item(), where)}
        if isinstance(value, np.dtype):
            return {"@": "dtype", "value": value.str}
        if isinstance(value, type) and issubclass(value, np.generic):
            return {"@": "scalar type", "value": np.dtype(value).str}
        if type(value) in (list, tuple):
            items = [self(item, f"{where}[{i}]") for i, item in enumerate(value)]
            return items if type(value) is list else {"@": "tuple", "items": items}
        if type(value) is dict:
            items = [[self(key, where), self(item, f"{where}[{key!r}]")] for key, item in value.items()]
            return {"@": "dict", "items": items}
        raise TypeError(f"{where} cannot be saved: {type(value).__module__}.{type(value).__name__} is not plain data")

    def _array(self, value, where):
        if value.dtype.kind in "OU":
            items = value.ravel().tolist()
            if value.dtype.kind == "U":
                self._spare -= _spare_bytes(value.dtype, items)
                if self._spare < 0:
                    return self._wide_text(value, where)
            items = [self(item, where) for item in items]
            return {"@": "objects", "dtype": value.dtype.str, "shape": list(value.shape), "values": items}
        if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
            raise TypeError(f"{where} cannot be saved: arrays of dtype {value.dtype} are not")
        entry = {"@": "array", "name": self._tensor(value, where)}
        # products with it round as they did only where it lies in memory as it did
        return entry if value.flags.c_contiguous or not value.flags.f_contiguous else {**entry, "order": "F"}

    def _wide_text(self, value, where):
        """An array of text by its code points: a file as large as the array."""
        points = np.ascontiguousarray(value, value.dtype.newbyteorder("<")).view("<u4")
        return {
            "@": "text", "dtype": value.dtype.str, "shape": list(value.shape),
            "name": self._tensor(points.reshape(-1), where),
        }

    def _tensor(self, value, where):
        # the array stands beside its name so that no other can take its identity
        name, _ = self._names.setdefault(id(value), (where, value))
        if name == where:
            self.tensors[where] = np.ascontiguousarray(value, value.dtype.newbyteorder("<")).reshape(value.shape)
        return name


class Decoder:
    """The reverse of :class:`Encoder`.

    Parameters
    ----------
    tensors : dict
        Arrays by name.
    more : dict, optional
        From more kinds ("@") to functions of (JSON object, decoder).

    Attributes
    ----------
    unused : set of str
        Names of the arrays that no value has asked for yet.
    """

    def __init__(self, tensors, more=None):
        self.tensors = tensors
        self.unused = set(tensors)
        self._more = more or {}
        self._depth = 0
        self._spare = SPARE_BYTES

    def __call__(self, value):
        if value is None or type(value) in (bool, int, float, str):
            return value
        if self._depth >= DEEPEST:
            raise ValueError(f"values are nested more than {DEEPEST} deep")
        self._depth += 1
        try:
            if type(value) is list:
                return [self(item) for item in value]
            kind = value.get("@")
            decode = _DECODERS.get(kind) or self._more.get(kind)
            if decode is None:
                raise ValueError(f"{kind!r} is not a kind of value")
            return decode(value, self)
        finally:
            self._depth -= 1

    def spend(self, n_bytes):
        """Account for memory that is not in the files; ValueError where it is more than an encoder leaves out."""
        self._spare -= n_bytes
        if self._spare < 0:
            raise ValueError(f"arrays of text take {SPARE_BYTES - self._spare} bytes more than the text in them")


def _decode_float(value, decoder):
    if value["value"] not in ("nan", "inf", "-inf"):
        raise ValueError(f"{value['value']!r} is not a float that JSON lacks")
    return float(value["value"])


def _plain_dtype(text, kinds):
    dtype = np.dtype(text) if isinstance(text, str) else None
    # NumPy 1 takes text of any length, whose bytes it counts in 32 bits
    if dtype is None or dtype.kind not in kinds or dtype.itemsize < 0:
        raise ValueError(f"{text!r} is not a dtype that is saved")
    return dtype


def _decode_array(value, decoder):
    decoder.unused.discard(value["name"])
    if value["name"] not in decoder.tensors:
        raise ValueError(f"array {value['name']!r} is in none of its files")
    if value.get("order", "F") != "F":
        raise ValueError(f"{value['order']!r} is not an order that arrays are saved in")
    if "order" in value:
        decoder.tensors[value["name"]] = np.asfortranarray(decoder.tensors[value["name"]])
    return decoder.tensors[value["name"]]


def _spare_bytes(dtype, items):
    """What an array of text takes beyond the text in it."""
    return max(0, dtype.itemsize * len(items) - 4 * sum(map(len, items)))


def _decode_text(value, decoder):
    dtype, points = _plain_dtype(value["dtype"], "U"), _decode_array(value, decoder)
    if points.dtype != np.uint32 or points.ndim != 1 or (len(points) and points.max() > 0x10FFFF):
        raise ValueError("an array of text must hold code points")
    if dtype.itemsize == 0 or points.nbytes % dtype.itemsize:
        raise ValueError(f"an array of {dtype} cannot have {points.nbytes} bytes")
    return points.astype(points.dtype.newbyteorder(dtype.byteorder)).view(dtype).reshape(value["shape"])


def _decode_objects(value, decoder):
    items, dtype = value["values"], _plain_dtype(value["dtype"], "OU")
    if type(items) is not list:
        raise ValueError("the values of an array must be a list")
    if dtype.kind == "U":
        if not all(type(item) is str for item in items):
            raise ValueError("an array of text must hold text")
        decoder.spend(_spare_bytes(dtype, items))
    array = np.empty(len(items), dtype=dtype)
    for i, item in enumerate(items):
        array[i] = decoder(item)
    return array.reshape(value["shape"])


_DECODERS = {
    "float": _decode_float,
    "scalar": lambda value, decoder: _plain_dtype(value["dtype"], "biufU").type(decoder(value["value"])),
    "dtype": lambda value, decoder: _plain_dtype(value["value"], "biufU"),
    "scalar type": lambda value, decoder: _plain_dtype(value["value"], "biuf").type,
    "tuple": lambda value, decoder: tuple(decoder(item) for item in value["items"]),
    "dict": lambda value, decoder: {decoder(key): decoder(item) for key, item in value["items"]},
    "array": _decode_array,
    "objects": _decode_objects,
    "text": _decode_text,
}
