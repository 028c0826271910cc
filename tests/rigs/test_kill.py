"""Workers killed with SIGKILL leave nothing charged twice, lost, unpacked or stuck."""

from pathlib import Path

import pytest

from storefront.adapters import failpoints
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from tests.rigs._packing import POINTS as PACKING_POINTS
from tests.rigs._running import run_rig
from tests.rigs._stories import STORIES
from tests.support.availability import is_long
from tests.support.databases import Database

#: In the order in which a renewal passes them; the first stands before anything is claimed.
RENEWAL_POINTS = tuple(name for name in failpoints.KNOWN if name.startswith("renewal."))
#: Kills of each run: each point of a renewal at least once, and about every second at random.
KILLS_OF_ALL = 150 if is_long() else 40
#: Workers at once on each database; in every run both numbers and both databases.
WORKERS: dict[str, tuple[int, ...]] = (
    {"sqlite": (1, 2), "postgresql": (1, 2)} if is_long() else {"sqlite": (1,), "postgresql": (2,)}
)
#: Deaths of a story at the least: every point of it once, and some twice.
KILLS = "9"


@pytest.mark.slow
def test_kills_leave_nothing_charged_twice_lost_unpacked_or_stuck(
    database: Database, tmp_path: Path
):
    for workers in WORKERS[database.kind]:
        outcome, printed = run_rig(
            "kill",
            tmp_path / f"report-{workers}.json",
            "--kills",
            str(KILLS_OF_ALL),
            "--workers",
            str(workers),
            "--database",
            database.kind,
            "--seed",
            "27",
        )
        print(printed)

        assert outcome["faults"] == []
        assert sum(outcome["kills"].values()) >= KILLS_OF_ALL
        assert outcome["doubles"] == 0
        assert outcome["boxes"] == outcome["charges"] - outcome["refunded"] > 2 * KILLS_OF_ALL
        missed = set(RENEWAL_POINTS) - outcome["kills"].keys()
        assert not missed, "a point of a renewal was never hit"


@pytest.mark.slow
def test_the_rig_sees_what_an_engine_does_that_guesses(tmp_path: Path):
    """Silence taken for a no, and a new key: the way most shops charge twice."""
    outcome, _ = run_rig(
        "kill", tmp_path / "report.json", "--kills", "12", "--naive", "--seed", "3"
    )

    assert outcome["doubles"] > 0
    assert any(fault.startswith("charged twice") for fault in outcome["faults"])


@pytest.mark.parametrize("what", STORIES)
def test_a_kill_at_each_named_point_of_refunds_messages_and_orders_ends_whole(
    what: str, tmp_path: Path
):
    outcome, printed = run_rig(
        "kill", tmp_path / "report.json", "--what", what, "--kills", KILLS, "--seed", "27"
    )
    print(printed)

    assert outcome["faults"] == []
    assert outcome["doubles"] == 0
    assert outcome["kills"].keys() == set(STORIES[what]().points)
    assert outcome["charges"] > 0


@pytest.mark.slow
def test_kills_while_a_cycle_is_locked_and_exported_leave_every_paid_box_in_one_file(
    tmp_path: Path,
):
    boxes, kills = ("5000", "120") if is_long() else ("200", KILLS)
    outcome, printed = run_rig(
        "kill",
        tmp_path / "report.json",
        "--what",
        "boxes",
        "--boxes",
        boxes,
        "--kills",
        kills,
        "--seed",
        "27",
    )
    print(printed)

    assert outcome["faults"] == []
    assert outcome["kills"].keys() >= set(PACKING_POINTS)
    assert outcome["paid"] == outcome["exported"] == outcome["files"] >= int(boxes)
    assert outcome["waited"] > 0
    assert outcome["batches"] == 2 * outcome["rounds"]


@pytest.mark.parametrize("point", RENEWAL_POINTS[1:])
def test_a_point_of_a_renewal_is_passed_only_where_there_is_something_to_lose(
    rt: Runtime, point: str
):
    failpoints.arm(f"{point}:raise")
    try:
        run_renewals(rt)
    finally:
        failpoints.arm("")
