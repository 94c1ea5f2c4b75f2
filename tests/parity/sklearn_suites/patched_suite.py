"""A pytest plugin for scikit-learn's own tests under the patch: expected failures, and a record of what happened.

Loaded by name beside ``fasttrain.patch``; the environment names the file for the record.
"""

import json
import logging
import os
from unittest import mock

import expectations
import numpy as np
import pytest

# What became of the tests of each module that was asked for; the same by the name of each of its tests.
_records = {}
_record_of = {}
_current = []


class _Recorder(logging.Handler):
    def emit(self, record):
        message = record.getMessage()
        if " is served by scikit-learn" in message and _current:
            item = _current[-1]
            _record_of[item.nodeid]["served"].setdefault(item.name, []).append(message)


def _module(item):
    return item.module.__name__.removeprefix("sklearn.")


def pytest_configure(config):
    for argument in config.invocation_params.args:
        if argument.startswith("sklearn."):
            module = argument.removeprefix("sklearn.")
            _records[module] = {"outcomes": {}, "served": {}}
    # of scikit-learn's own configuration, which is not in its wheel
    config.addinivalue_line("markers", "no_check_spmatrix: a test that makes sparse matrices")
    logger = logging.getLogger("fasttrain")
    logger.setLevel(logging.INFO)
    logger.addHandler(_Recorder())


def pytest_collection_modifyitems(items):
    for item in items:
        asked = next(module for module in _records if f"{_module(item)}.".startswith(f"{module}."))
        _record_of[item.nodeid] = _records[asked]
        reason = expectations.FAILING.get(_module(item), {}).get(item.name)
        if reason is not None:
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason))


def _assert_allclose(actual, desired, *, rtol):
    """Up to what the rounding of a fit in float32 comes to beside the largest value."""
    np.testing.assert_allclose(actual, desired, rtol, atol=100 * np.finfo(np.float32).eps * np.abs(desired).max())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if item.name in expectations.CANCELLING.get(_module(item), ()):
        with mock.patch.object(item.module, "assert_allclose", _assert_allclose):
            return (yield)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    _current.append(item)
    try:
        return (yield)
    finally:
        _current.pop()


def pytest_runtest_logreport(report):
    name = report.nodeid.rpartition("::")[2]
    # a test that passes in its call may still fail in its teardown
    if report.when == "call" or report.outcome != "passed":
        outcomes = _record_of[report.nodeid]["outcomes"]
        outcomes[name] = "xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome


def pytest_sessionfinish(session):
    with open(os.environ["PATCHED_SUITE_RECORD"], "w") as file:
        json.dump(_records, file)
