"""dev.py and its tools: what they promise to someone who has just cloned the project."""

import gettext
import hashlib
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools import assets, demo, environment, machine
from tools.environment import LOCK_SOURCES, LOCKS, ROOT
from tools.processes import Service, Supervisor


def _pins(lock: str) -> dict[str, str]:
    text = (LOCKS / f"{lock}.lock").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def test_modules_are_compiled_once_and_never_beside_the_sources(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(environment, "VENV", tmp_path)
    (tmp_path / "once.py").write_text("", encoding="utf-8")
    environ = environment.child_environ(PYTHONPATH=str(tmp_path))
    subprocess.run([sys.executable, "-c", "import once"], env=environ, check=True)
    assert list((tmp_path / "compiled").rglob("once.*.pyc"))
    assert not (tmp_path / "__pycache__").exists()


def test_every_command_is_listed_by_help():
    said = subprocess.run(
        [sys.executable, "dev.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for command in (
        "run",
        "test",
        "lint",
        "types",
        "build",
        "lock",
        "reset",
        "browser",
        "bench",
        "shots",
        "check-html",
        "lighthouse",
        "mutate",
    ):
        assert re.search(rf"^\s+{command}\s", said, re.MULTILINE), command


def test_a_misspelt_option_is_refused_and_not_passed_on():
    run = subprocess.run(
        [sys.executable, "dev.py", "reset", "--yess"], cwd=ROOT, capture_output=True, check=False
    )
    assert run.returncode == 2


def test_an_unknown_benchmark_names_those_there_are():
    run = subprocess.run(
        [sys.executable, "dev.py", "bench", "nonsense"], cwd=ROOT, capture_output=True, check=False
    )
    assert run.returncode == 1
    assert b"nonsense" in run.stdout


def test_dev_py_needs_nothing_but_the_standard_library():
    # -S -I: no site-packages, no environment; what is imported must come with Python.
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import dev"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("lock", sorted(LOCK_SOURCES))
def test_a_lock_pins_every_package_by_hash_and_names_no_registry(lock: str):
    text = (LOCKS / f"{lock}.lock").read_text(encoding="utf-8")
    assert "://" not in text
    packages = [line for line in text.splitlines() if line and not line.startswith(" ")]
    hashed = re.findall(r"^[^\s#].*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert packages
    assert len(hashed) == len(packages)


def test_the_larger_locks_keep_the_pins_of_what_is_shipped():
    shipped = _pins("run")
    for lock in ("test", "e2e"):
        pins = _pins(lock)
        assert {name: pins.get(name) for name in shipped} == shipped


def test_what_mutation_testing_brings_changes_no_package_of_the_tests():
    tested = _pins("e2e")
    brought = _pins("mutate")
    assert "mutmut" not in tested
    assert {name: pin for name, pin in brought.items() if tested.get(name, pin) != pin} == {}


def test_the_locks_pin_every_dependency_that_the_package_declares():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[^\w.-]", line)[0].lower() for line in project["dependencies"]}
    assert declared <= {name.lower() for name in _pins("run")}


def test_the_stamp_of_a_lock_changes_with_the_lock(tmp_path: Path):
    lock = tmp_path / "x.lock"
    lock.write_text("a==1\n", encoding="utf-8")
    before = environment._fingerprint(lock)
    lock.write_text("a==2\n", encoding="utf-8")
    assert environment._fingerprint(lock) != before


def test_the_unpacked_files_in_place_are_the_reviewed_ones():
    for path, (_, sha) in assets.UNPACKED.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sha, path


def test_an_altered_browser_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "vendor" / "htmx.min.js"
    target.parent.mkdir()
    target.write_bytes(b"alert('not htmx')")
    name, sha = assets.UNPACKED[assets.HTMX]
    genuine = assets.HTMX.read_bytes()
    monkeypatch.setattr(assets, "_read_from_wheels", lambda names: dict.fromkeys(names, genuine))
    assets.ensure_unpacked({target: (name, sha)})
    assert target.read_bytes() == genuine


def test_a_changed_catalogue_is_compiled_and_an_unchanged_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = tmp_path / "storefront" / "translations" / "de" / "LC_MESSAGES" / "messages.po"
    source.parent.mkdir(parents=True)
    source.write_text('msgid ""\nmsgstr ""\n\nmsgid "Box"\nmsgstr "Kiste"\n', encoding="utf-8")
    monkeypatch.setattr(assets, "ROOT", tmp_path)
    compiled = [sys.executable, "-m", "tools.catalogues", str(source)]
    ran: list[list[str]] = []
    monkeypatch.setattr(assets.subprocess, "run", lambda command, **_kw: ran.append(command))
    assets.compile_translations()
    assert [command[1:] for command in ran] == [compiled[1:]]

    monkeypatch.undo()
    subprocess.run(compiled, cwd=ROOT, check=True)
    with source.with_suffix(".mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Box") == "Kiste"
    monkeypatch.setattr(assets, "ROOT", tmp_path)
    monkeypatch.setattr(assets.subprocess, "run", lambda *_a, **_kw: pytest.fail("compiled again"))
    assets.compile_translations()


def test_servers_wait_for_the_demo_unless_the_last_start_saw_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("STOREFRONT_DATABASE_URL", raising=False)
    monkeypatch.setattr(demo, "INSTANCE", tmp_path)
    monkeypatch.setattr(demo, "_MADE", tmp_path / "made-with")
    database = tmp_path / "storefront.db"
    database.touch()
    assert not demo._was_made()
    (tmp_path / "made-with").write_text(demo._schema(), encoding="utf-8")
    assert demo._was_made()
    monkeypatch.setenv("STOREFRONT_DATABASE_URL", "postgresql:///elsewhere")
    assert not demo._was_made()
    monkeypatch.delenv("STOREFRONT_DATABASE_URL")
    (tmp_path / "made-with").write_text("other migrations", encoding="utf-8")
    assert not demo._was_made()
    (tmp_path / "made-with").write_text(demo._schema(), encoding="utf-8")
    database.unlink()
    assert not demo._was_made()


def test_a_package_with_another_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(assets, "_read_from_wheels", lambda names: dict.fromkeys(names, b"other"))
    with pytest.raises(SystemExit):
        assets.ensure_unpacked({tmp_path / "htmx.min.js": assets.UNPACKED[assets.HTMX]})
    assert not (tmp_path / "htmx.min.js").exists()
    assert "is not the file that was reviewed" in capsys.readouterr().out


def test_a_taken_port_gives_the_next_free_one():
    with socket.socket() as taken:
        taken.bind((machine.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert machine.pick_port(port) != port


def test_without_a_browser_the_way_to_get_one_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("TEST_BROWSER", raising=False)
    assert machine.browser(install=False) == 1
    assert "apt-get install chromium" in capsys.readouterr().out


def _sleeper(name: str) -> Service:
    return Service(name, [sys.executable, "-c", "import time; time.sleep(60)"])


def test_ending_the_supervisor_ends_every_service(tmp_path: Path):
    supervisor = Supervisor(tmp_path)
    supervisor.start(_sleeper("one"))
    supervisor.start(_sleeper("two"))
    assert supervisor.wait_until_ready()
    processes = [process for _, process in supervisor._running]
    supervisor.stop()
    assert all(process.returncode is not None for process in processes)


def test_a_service_that_ends_by_itself_is_reported_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("tools.processes.ROOT", tmp_path)
    supervisor = Supervisor(tmp_path)
    supervisor.start(Service("web", [sys.executable, "-c", "raise SystemExit('no database')"]))
    assert supervisor.wait() == 1
    supervisor.stop()
    assert "no database" in capsys.readouterr().out


def test_a_service_that_listens_is_waited_for(tmp_path: Path):
    port = machine.pick_port(8600)
    code = (
        "import socket, time; time.sleep(0.5); s = socket.socket();"
        f"s.bind(('{machine.HOST}', {port})); s.listen(); time.sleep(60)"
    )
    supervisor = Supervisor(tmp_path)
    supervisor.start(Service("web", [sys.executable, "-c", code], port))
    ready = supervisor.wait_until_ready()
    listens = machine.answers(port)
    supervisor.stop()
    assert ready
    assert listens
