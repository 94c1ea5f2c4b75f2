"""Folders of one JSON index and one file of arrays, written whole or not at all and checked when read."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from fasttrain import __version__
from fasttrain._files.atomic import write_folder
from fasttrain._files.safetensors import decode_tensors, encode_tensors

_ARRAY_FILE = r"arrays-[0-9a-f]{16}\.safetensors"


@dataclass(frozen=True)
class ArchiveKind:
    """What tells one kind of folder from another.

    Parameters
    ----------
    what : str
        What messages call its content, 'model' say: also the key of the content in the index.
    version : int
        Of the format; others are refused.
    """

    what: str
    version: int

    @property
    def format(self):
        return f"fasttrain-{self.what}"

    @property
    def index(self):
        return f"{self.what}.json"

    def write(self, path, content, tensors, *, notes=None, files=None):
        """Put ``content`` (what JSON can hold) and ``tensors`` (arrays by name) into the folder ``path``.

        The folder changes only when everything of it is on the disk; ``files`` are more files, from names to bytes.
        """
        data = encode_tensors(tensors)
        digest = hashlib.sha256(data).hexdigest()
        array_file = f"arrays-{digest[:16]}.safetensors"
        index = {
            "format": self.format,
            "format_version": self.version,
            "library_version": __version__,
            self.what: content,
            "notes": {} if notes is None else notes,
            "files": {
                array_file: {
                    "bytes": len(data),
                    "sha256": digest,
                    "arrays": {
                        name: {"dtype": array.dtype.name, "shape": list(array.shape)}
                        for name, array in tensors.items()
                    },
                }
            },
        }
        index["sha256"] = _digest(index)
        text = json.dumps(index, indent=1, allow_nan=False, ensure_ascii=False)
        written = {**(files or {}), array_file: data, self.index: text.encode() + b"\n"}
        write_folder(path, written, index=self.index, stale=_ARRAY_FILE)

    def read(self, path):
        """The index and the arrays by name of a folder; ValueError for whatever is wrong with its files.

        Somebody may save to the folder meanwhile, and take away the arrays of the index that was read: then it is
        read again. What is returned belongs together, for an index names its arrays by their digest.
        """
        path = Path(path)
        if not path.is_dir():
            raise ValueError(f"{path} is not a folder with a {self.what}")
        while True:
            # a device or a pipe has no end
            if not (path / self.index).is_file():
                raise ValueError(f"{path / self.index} is missing")
            # open to the end, for no other file can then be mistaken for it
            with open(path / self.index, "rb") as file:
                try:
                    return self._read(path, file.read())
                except ValueError:
                    if self._is_in_place(path, file):
                        raise

    def _read(self, path, text):
        index = self._read_index(path / self.index, text)
        tensors = {}
        for name, facts in index["files"].items():
            tensors.update(self._read_arrays(path, name, facts))
        return index, tensors

    def _is_in_place(self, path, file):
        try:
            return os.path.samestat(os.fstat(file.fileno()), os.stat(path / self.index))
        except FileNotFoundError:
            return True

    def _read_index(self, path, data):
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text: {error}") from None
        try:
            index = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is cut short or not JSON: {error}") from None
        if not isinstance(index, dict) or index.get("format") != self.format:
            raise ValueError(f"{path} is not the index of a fasttrain {self.what} (no format {self.format!r})")
        version = index.get("format_version")
        if type(version) is not int or version != self.version:
            raise ValueError(
                f"{path} has format_version {version!r}, this fasttrain reads {self.version}; "
                f"it was written by fasttrain {index.get('library_version')}"
            )
        keys = {"library_version": str, self.what: dict, "notes": dict, "files": dict, "sha256": str}
        for key, kind in keys.items():
            if not isinstance(index.get(key), kind):
                raise ValueError(f"{path} lacks {key!r}, or it is not of type {kind.__name__}")
        try:
            digest = _digest(index)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} has values that no checksum is made of: {error}") from None
        if digest != index["sha256"]:
            raise ValueError(f"{path} was changed after it was written: its checksum does not fit")
        return index

    def _read_arrays(self, folder, name, facts):
        path = folder / name
        if not re.fullmatch(_ARRAY_FILE, name):
            raise ValueError(f"{folder / self.index} names {name!r}, which is not the name of an array file")
        if not isinstance(facts, dict) or set(facts) != {"bytes", "sha256", "arrays"}:
            raise ValueError(f"{folder / self.index} must say bytes, sha256 and arrays of {name!r}, and no more")
        try:
            size = path.stat().st_size if path.is_file() else None
            if size is not None and size != facts["bytes"]:
                raise ValueError(f"{path} has {size} bytes, it must have {facts['bytes']}: it was cut short or changed")
            data = None if size is None else path.read_bytes()
        except FileNotFoundError:
            data = None
        if data is None:
            raise ValueError(f"{path} is missing")
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise ValueError(f"{path} was changed after it was written: its checksum does not fit")
        tensors = decode_tensors(data, path)
        found = {name: {"dtype": t.dtype.name, "shape": list(t.shape)} for name, t in tensors.items()}
        if found != facts["arrays"]:
            raise ValueError(f"{path} holds {found}, {folder / self.index} asks for {facts['arrays']}")
        return tensors


def _digest(index):
    """SHA-256 of everything in the index but the digest itself."""
    rest = {key: value for key, value in index.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _no_constant(text):
    raise ValueError(f"{text} is not JSON")
