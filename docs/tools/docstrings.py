"""Docstrings as Markdown: numpydoc's roles become links, its footnotes text. An extension of griffe, for the reference.

Griffe reads the sources. What is made when they run, a docstring from parts or a class from a function, is taken from
the imported package.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys

import griffe

# a role of Sphinx: :class:`~fasttrain.losses.Huber`
ROLE = re.compile(r":(?P<role>class|meth|func|mod|attr|data):`~?(?P<target>[^`]+)`")
FOOTNOTE = re.compile(r"^\.\. \[(\w+)\]", re.M)
CITATION = re.compile(r"\s?\[(\w+)\]_")


class Markdown(griffe.Extension):
    """Rewrites each docstring once it is read."""

    def on_module(self, *, mod, **kwargs):
        loaded = sys.modules.get(mod.path)
        made = [name for name in getattr(loaded, "__all__", ()) if name in mod.members
                and not mod.members[name].is_alias and mod.members[name].is_attribute
                and inspect.isclass(getattr(loaded, name)) and getattr(loaded, name).__module__ == mod.path]
        if made:
            seen = griffe.inspect(mod.path, filepath=mod.filepath)
            for name in made:
                mod.set_member(name, seen[name])
                self.on_object(obj=seen[name])

    def on_class(self, *, cls, **kwargs):
        thing = getattr(sys.modules.get(cls.module.path), cls.name, None)
        if cls.docstring is not None and inspect.isclass(thing):
            cls.docstring.value = inspect.getdoc(thing)

    def on_object(self, *, obj, **kwargs):
        if obj.docstring is None and obj.parent is not None and obj.parent.is_class and obj.name[0] != "_":
            # an overriding method is documented where it is introduced
            owner = getattr(sys.modules.get(obj.module.path), obj.parent.name, None)
            inherited = inspect.getdoc(getattr(owner, obj.name, None)) if inspect.isclass(owner) else None
            if inherited and (obj.is_function or "property" in obj.labels):
                obj.docstring = griffe.Docstring(inherited, parent=obj)
        if obj.docstring is not None:
            obj.docstring.value = self.converted(obj.docstring.value, obj)

    def converted(self, text, obj):
        def role(match):
            kind, target = match["role"], match["target"]
            last = target.rpartition(".")[2]
            if kind == "mod":
                return f"`{target}`"
            if not target.startswith("fasttrain."):
                owner = obj if obj.is_class else obj.parent
                target = f"{owner.path if owner is not None else obj.module.path}.{target}"
            return f"[`{last}`][{target}]" if self.exists(target) else f"`{last}`"

        return CITATION.sub(r" \\[\1\\]", FOOTNOTE.sub(r"\\[\1\\]", ROLE.sub(role, text)))

    @staticmethod
    def exists(target):
        """Whether the reference has a place of this name."""
        module, dot, name = target.rpartition(".")
        for _ in range(2):
            try:
                loaded = importlib.import_module(module)
            except ImportError:
                module, dot, owner = module.rpartition(".")
                name = f"{owner}.{name}"
                continue
            first, dot, rest = name.partition(".")
            thing = getattr(loaded, first, None) if first in getattr(loaded, "__all__", ()) else None
            return thing is not None and (not rest or hasattr(thing, rest))
        return False
