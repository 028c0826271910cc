"""Workers killed with SIGKILL leave nothing charged twice, lost, unpacked or stuck."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from storefront.adapters import failpoints
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from tools.environment import ROOT, child_environ

#: In the order in which a renewal passes them; the first stands before anything is claimed.
RENEWAL_POINTS = tuple(name for name in failpoints.KNOWN if name.startswith("renewal."))
#: Seconds after which a run that should take about one minute is ended.
_LONGEST = 600


def kill(report: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Run the rig in a process group of its own; returns its outcome and what it printed."""
    command = [sys.executable, "-W", "error", "-m", "tests.rigs.kill", "--report", str(report)]
    process = subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        env=child_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=_LONGEST)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert report.exists(), printed
    return json.loads(report.read_text(encoding="utf-8")), printed


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_150_kills_leave_nothing_charged_twice_lost_unpacked_or_stuck(workers: int, tmp_path: Path):
    outcome, printed = kill(
        tmp_path / "report.json", "--kills", "150", "--workers", str(workers), "--seed", "27"
    )
    print(printed)

    assert outcome["faults"] == []
    assert sum(outcome["kills"].values()) >= 150
    assert outcome["doubles"] == 0
    assert outcome["boxes"] == outcome["charges"] - outcome["refunded"] > 500
    missed = set(RENEWAL_POINTS) - outcome["kills"].keys()
    assert not missed, "a point of a renewal was never hit"


@pytest.mark.slow
def test_the_rig_sees_what_an_engine_does_that_guesses(tmp_path: Path):
    """Silence taken for a no, and a new key: the way most shops charge twice."""
    outcome, _ = kill(tmp_path / "report.json", "--kills", "12", "--naive", "--seed", "3")

    assert outcome["doubles"] > 0
    assert any(fault.startswith("charged twice") for fault in outcome["faults"])


@pytest.mark.parametrize("point", RENEWAL_POINTS[1:])
def test_a_point_of_a_renewal_is_passed_only_where_there_is_something_to_lose(
    rt: Runtime, point: str
):
    failpoints.arm(f"{point}:raise")
    try:
        run_renewals(rt)
    finally:
        failpoints.arm("")
