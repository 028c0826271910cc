"""A line to the bank that delays, cuts, drops, resets and doubles charges nobody twice."""

from pathlib import Path

from tests.rigs._proxy import Fault
from tests.rigs._running import run_rig

#: So few that every fault is met, and a run takes seconds.
CHARGES = "60"


def test_over_a_bad_line_everybody_is_charged_once_and_gets_what_is_paid(tmp_path: Path):
    outcome, printed = run_rig(
        "faults", tmp_path / "report.json", "--charges", CHARGES, "--seed", "5"
    )
    print(printed)

    assert outcome["faults"] == []
    assert outcome["doubles"] == 0
    assert outcome["unknown"] > 10, "the line was too good"
    assert outcome["met"].keys() >= {str(fault) for fault in Fault}, "a fault was never met"
    assert outcome["boxes"] == outcome["charges"] - outcome["refunded"] > 50


def test_the_rig_sees_what_an_engine_does_that_guesses(tmp_path: Path):
    outcome, _ = run_rig(
        "faults", tmp_path / "report.json", "--charges", CHARGES, "--naive", "--seed", "5"
    )

    assert outcome["doubles"] > 0
    assert any(fault.startswith("charged twice") for fault in outcome["faults"])
