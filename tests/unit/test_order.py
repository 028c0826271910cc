"""Which test begins, and in which process."""

import ast

import pytest

from tests.support.order import SECONDS, seconds_of, spread
from tools.environment import ROOT


def pieces(tests: list[int], processes: int) -> list[list[int]]:
    """Cut ``tests`` as pytest-xdist's ``worksteal`` hands them out."""
    found, rest = [], tests
    for left in range(processes, 0, -1):
        many = len(rest) // left
        found.append(rest[:many])
        rest = rest[many:]
    return found


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("many", [1, 6, 7, 40, 41, 42])
def test_every_process_begins_with_its_share_of_the_long_tests(processes: int, many: int) -> None:
    seconds = [0.0] * many
    seconds[-1], seconds[many // 2] = 50.0, 40.0

    order = spread(list(range(many)), seconds, processes)

    assert sorted(order) == list(range(many))
    if many >= 2 * processes > 2:
        first = {piece[0] for piece in pieces(order, processes)}
        assert {many - 1, many // 2} <= first


def test_the_longest_begins_and_no_process_gets_all() -> None:
    seconds = [0, 10, 30, 0, 20, 0, 0, 10]

    order = spread(list("abcdefgh"), seconds, 2)

    assert order == ["c", "h", "a", "d", "e", "b", "f", "g"]


@pytest.mark.parametrize("name", SECONDS)
def test_a_long_test_is_known_by_a_name_that_there_is(name: str) -> None:
    path, _, test = name.partition("::")
    assert (ROOT / path).exists()
    if test:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names = [
            node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]
        assert any(name.startswith(test) for name in names)
    assert seconds_of(f"{name}[sqlite]") == SECONDS[name]


def test_other_tests_are_short() -> None:
    assert seconds_of("tests/unit/test_order.py::test_other_tests_are_short") == 0
