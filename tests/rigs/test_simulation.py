"""A part of the simulation, the same in every run; ``dev.py simulate`` goes on from there."""

import pytest

from tests.rigs.simulate import simulate


@pytest.mark.slow
def test_every_invariant_holds_on_every_day_of_a_simulated_shop() -> None:
    done: set[str] = set()
    together = 0
    for seed in (1, 2):
        report = simulate(seed, customers=60, days=150)
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
