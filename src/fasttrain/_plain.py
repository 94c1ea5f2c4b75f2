"""Plain values as JSON and arrays: whatever JSON has no word for is an object whose key "@" says what it is."""

import math

import numpy as np

# Errors with which a decoder, or what it calls, meets content that is not what an encoder wrote.
DECODING_ERRORS = (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError)


def encode(value, where, tensors, more=None):
    """``value`` as JSON can hold it; its numeric arrays go into ``tensors`` under names that begin with ``where``.

    Parameters
    ----------
    value : None, bool, int, float, str, list, tuple, dict, NumPy array, scalar or dtype, or what ``more`` takes
    where : str
        What messages call the value.
    tensors : dict
    more : callable, optional
        From (value, where, tensors) to its JSON for a kind of value that is not in the list above, or None.

    Raises
    ------
    TypeError
        For any other kind of value.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"@": "float", "value": repr(value)}
    if more is not None:
        found = more(value, where, tensors)
        if found is not None:
            return found
    if isinstance(value, np.ndarray):
        return _encode_array(value, where, tensors, more)
    if isinstance(value, np.generic):
        return {"@": "scalar", "dtype": value.dtype.str, "value": encode(value.item(), where, tensors)}
    if isinstance(value, np.dtype):
        return {"@": "dtype", "value": value.str}
    if isinstance(value, type) and issubclass(value, np.generic):
        return {"@": "scalar type", "value": np.dtype(value).str}
    if type(value) in (list, tuple):
        items = [encode(item, f"{where}[{i}]", tensors, more) for i, item in enumerate(value)]
        return items if type(value) is list else {"@": "tuple", "items": items}
    if type(value) is dict:
        items = [
            [encode(key, where, tensors, more), encode(item, f"{where}[{key!r}]", tensors, more)]
            for key, item in value.items()
        ]
        return {"@": "dict", "items": items}
    raise TypeError(f"{where} cannot be saved: {type(value).__module__}.{type(value).__name__} is not plain data")


def _encode_array(value, where, tensors, more):
    if value.dtype.kind in "OU":
        items = [encode(item, where, tensors, more) for item in value.ravel().tolist()]
        return {"@": "objects", "dtype": value.dtype.str, "shape": list(value.shape), "values": items}
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        raise TypeError(f"{where} cannot be saved: arrays of dtype {value.dtype} are not")
    tensors[where] = np.ascontiguousarray(value, value.dtype.newbyteorder("<")).reshape(value.shape)
    return {"@": "array", "name": where}


class Decoder:
    """The reverse of :func:`encode`.

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

    def __call__(self, value):
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [self(item) for item in value]
        kind = value.get("@")
        decode = _DECODERS.get(kind) or self._more.get(kind)
        if decode is None:
            raise ValueError(f"{kind!r} is not a kind of value")
        return decode(value, self)


def _decode_float(value, decoder):
    if value["value"] not in ("nan", "inf", "-inf"):
        raise ValueError(f"{value['value']!r} is not a float that JSON lacks")
    return float(value["value"])


def _plain_dtype(text, kinds):
    dtype = np.dtype(text) if isinstance(text, str) else None
    if dtype is None or dtype.kind not in kinds:
        raise ValueError(f"{text!r} is not a dtype that is saved")
    return dtype


def _decode_array(value, decoder):
    decoder.unused.discard(value["name"])
    if value["name"] not in decoder.tensors:
        raise ValueError(f"array {value['name']!r} is in none of its files")
    return decoder.tensors[value["name"]]


def _decode_objects(value, decoder):
    array = np.empty(len(value["values"]), dtype=_plain_dtype(value["dtype"], "OU"))
    for i, item in enumerate(value["values"]):
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
}
