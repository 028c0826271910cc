"""The order of the tests: long ones first, so that no core waits at the end for one of them.

The processes of a run get the tests in as many pieces as there are processes, and whoever is done
takes over what another has left. So each piece begins with its share of the long tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

#: Beginnings of names of tests that take five seconds or more, and how long each of them
#: takes, roughly. A name that fits no test is found by ``tests/unit/test_order.py``.
SECONDS: dict[str, float] = {
    "tests/rigs/test_simulation.py": 45,
    "tests/packaging/test_wheel.py::test_an_installed_wheel_opens": 30,
    "tests/rigs/test_kill.py::test_kills_leave": 25,
    "tests/scenarios/test_a_year.py": 20,
    "tests/rigs/test_two_schedulers.py::test_two_schedulers": 25,
    "tests/browser/test_journey.py": 20,
    "tests/services/test_orders_of_messages.py::test_all_720": 15,
    "tests/rigs/test_kill.py::test_the_rig_sees": 15,
    "tests/rigs/test_kill.py::test_a_kill_at": 14,
    "tests/scenarios/test_calendar_plans.py::test_a_skip": 14,
    "tests/scenarios/test_forecast.py": 12,
    "tests/scenarios/test_books.py": 12,
    "tests/scenarios/test_leap_day.py": 12,
    "tests/scenarios/test_any_rhythm.py": 8,
    "tests/web/test_admin_access.py::test_nothing": 12,
    "tests/rigs/test_faults.py": 12,
    "tests/services/test_demo.py::TestHistory": 10,
    "tests/services/test_demo.py::TestCommands": 10,
    "tests/unit/test_preview_is_booking.py::test_thousands": 8,
    "tests/services/test_webhooks.py::test_w11_thousands": 8,
    "tests/rigs/test_worker_process.py": 8,
    "tests/scenarios/": 6,
    "tests/browser/": 5,
}


def seconds_of(name: str) -> float:
    """Return how long the test ``name`` takes if it is a long one, otherwise 0."""
    return next((many for start, many in SECONDS.items() if name.startswith(start)), 0)


def spread(tests: Sequence[T], seconds: Sequence[float], processes: int) -> list[T]:
    """Return ``tests`` so that each of ``processes`` equal pieces begins with long ones.

    The longest come first, each to the process that has the least to do. The others, those of
    0 ``seconds``, keep their order.
    """
    sizes = [len(tests) // processes + (n >= processes - len(tests) % processes)
             for n in range(processes)]  # fmt: skip
    pieces: list[list[T]] = [[] for _ in range(processes)]
    loads = [0.0] * processes
    order = sorted(range(len(tests)), key=lambda number: -seconds[number])
    for number in order:
        if seconds[number]:
            free = [n for n in range(processes) if len(pieces[n]) < sizes[n]]
            least = min(free, key=lambda n: loads[n])
            pieces[least].append(tests[number])
            loads[least] += seconds[number]
    short = iter([test for test, many in zip(tests, seconds, strict=True) if not many])
    for piece, size in zip(pieces, sizes, strict=True):
        piece.extend(next(short) for _ in range(size - len(piece)))
    return [test for piece in pieces for test in piece]
