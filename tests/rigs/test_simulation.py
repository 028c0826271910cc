"""A part of the simulation, the same in every run; ``dev.py simulate`` goes on from there."""

import pytest

from tests.rigs.simulate import simulate
from tests.support.availability import is_long

#: Seeds, and days of each: in every run, and with ``dev.py test --long``.
SOME, ALL = ((1,), 75), ((1, 2), 150)


@pytest.mark.slow
def test_every_invariant_holds_on_every_day_of_a_simulated_shop() -> None:
    done: set[str] = set()
    together = 0
    seeds, days = ALL if is_long() else SOME
    for seed in seeds:
        report = simulate(seed, customers=60, days=days)
        assert report.charged_minor > 0
        done |= {what.partition(":")[0] for what in report.acts}
        together += sum(
            count
            for what, count in report.acts.items()
            if what.startswith("subscribe:") and what.endswith(" more")
        )
    assert done >= {
        "subscribe",
        "skip",
        "unskip",
        "leave",
        "move_plan",
        "bring_card",
        "give_back",
        "take_a_break",
    }
    assert together > 10
