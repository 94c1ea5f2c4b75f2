"""Shared by all tests; its being here puts this folder on the path, so tests import ``reference`` and
``tolerances``."""
