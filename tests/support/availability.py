"""What a test does when the machine lacks a server or a browser, and how much it is to do."""

import os
from typing import NoReturn

import pytest


def in_ci() -> bool:
    """Return whether this is a run that must have everything."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def is_long() -> bool:
    """Return whether the rigs run at their whole size: ``dev.py test --long``."""
    return os.environ.get("TEST_LONG", "").lower() in {"1", "true", "yes"}


def unavailable(reason: str) -> NoReturn:
    """Skip the test for want of ``reason``; in CI, where it must be there, fail it."""
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
