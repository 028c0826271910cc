"""A run of the tests that was killed leaves a database server; the next one ends it."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.availability import unavailable
from tests.support.postgres import HOW_TO_GET_ONE
from tools.owners import left_behind, note_owner, own_folder
from tools.postgres import LocalServer, clean_up_after_killed_runs, find_programs


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The server's programs, with a folder for temporary files in which nobody else works."""
    found = find_programs()
    if found is None:
        unavailable(HOW_TO_GET_ONE)
    with tempfile.TemporaryDirectory(prefix="killed-", ignore_cleanup_errors=True) as folder:
        # Open to the user the server runs as, unlike pytest's own folder.
        Path(folder).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield found


@pytest.fixture
def run() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a run of the tests."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_the_next_start_ends_the_server_of_a_killed_run(
    programs: Path, run: subprocess.Popen[bytes]
):
    lost = LocalServer.start(programs, run.pid)
    run.kill()
    run.wait()

    own = LocalServer.start(programs)
    try:
        assert not lost.folder.exists()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(lost.url("postgres"))
        with psycopg.connect(own.url("postgres")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        own.stop()


def test_the_server_of_a_run_that_goes_on_is_left_alone(
    programs: Path, run: subprocess.Popen[bytes]
):
    other = LocalServer.start(programs, run.pid)
    try:
        clean_up_after_killed_runs(programs)
        with psycopg.connect(other.url("postgres")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        other.stop()


def test_the_folder_of_a_killed_run_is_removed_and_that_of_a_running_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: subprocess.Popen[bytes]
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lost, other = own_folder("shared-"), own_folder("shared-")
    (lost / "template.db").write_text("kept for nobody")
    note_owner(lost, run.pid)
    run.kill()
    run.wait()

    own_folder("shared-")
    assert (lost.exists(), other.exists()) == (False, True)


def test_a_process_that_got_the_number_of_another_is_not_taken_for_it(tmp_path: Path):
    note_owner(tmp_path, 1)
    with left_behind(tmp_path) as is_over:
        assert not is_over
    note = tmp_path / "owner"
    note.write_text(note.read_text().split()[0] + " 7")
    with left_behind(tmp_path) as is_over:
        assert is_over
        with left_behind(tmp_path) as twice:
            assert not twice


@pytest.mark.parametrize("text", [None, "", "somebody", "1 2 3"])
def test_a_folder_without_a_readable_note_is_nobodys_business(tmp_path: Path, text: str | None):
    if text is not None:
        (tmp_path / "owner").write_text(text)
    with left_behind(tmp_path) as is_over:
        assert not is_over
