"""Every example in a docstring of the domain is a test."""

import doctest
import importlib
import pkgutil

import pytest

import storefront.domain

MODULES = [name for _, name, _ in pkgutil.iter_modules(storefront.domain.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_hold(name):
    result = doctest.testmod(importlib.import_module(f"storefront.domain.{name}"))

    assert result.failed == 0


def test_the_examples_are_found_at_all():
    money = importlib.import_module("storefront.domain.money")

    assert doctest.testmod(money).attempted >= 3
