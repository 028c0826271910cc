"""Mutation testing of the rules about money: which changed rule would no test notice?

mutmut changes one thing at a time in a module and runs that module's own tests. It works in a
temporary folder that holds the pure rules and their tests and nothing else, so the project needs
no setting for it and keeps no trace of it.
Source: docs/decisions/0110-mutation-score.md.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.console import bad, fail, good, progress
from tools.environment import ROOT, tool

#: Percent of the mutants that must be noticed, in each module and in all together.
LEAST = 85
#: Module of storefront/domain -> the files of tests/unit/domain that answer for it.
MODULES: dict[str, tuple[str, ...]] = {
    "money": ("test_money.py",),
    "periods": ("test_periods.py",),
    "proration": ("test_proration.py",),
    "coupons": ("test_coupons.py", "test_stacking.py"),
    "stacking": ("test_stacking.py",),
    "taxes": ("test_taxes.py",),
    "rates": ("test_rates.py",),
    "tax_treatment": ("test_tax_treatment.py",),
}

_DOMAIN = Path("storefront") / "domain"
_TESTS = Path("tests") / "unit" / "domain"
#: Exit codes of a run with one mutant: a test failed; it ran out of time (CPU limit or kill).
_KILLED, _TIMED_OUT = {1, 3}, {24, -24, 36, 152, 255, -9}
_CONFTEST = '''"""Few random cases and always the same; no time for making a failing one small."""

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "mutate",
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("mutate")
'''
_PYPROJECT = """
[tool.pytest.ini_options]
pythonpath = ["."]
addopts = ["--import-mode=importlib", "-p", "no:cacheprovider"]

[tool.mutmut]
source_paths = ["storefront"]
only_mutate = [{source}]
also_copy = ["tests"]
pytest_add_cli_args_test_selection = {tests}
timeout_multiplier = 8.0
use_git_change_detection = false
"""


@dataclass(frozen=True)
class Score:
    """What became of the mutants of one module; ``survivors`` are the names of the unnoticed."""

    module: str
    killed: int
    timed_out: int
    survivors: tuple[str, ...]

    @property
    def mutants(self) -> int:
        return self.killed + self.timed_out + len(self.survivors)

    @property
    def percent(self) -> float:
        """Return the share that was noticed; a rule that never ends is noticed, too."""
        return 100 * (self.killed + self.timed_out) / self.mutants if self.mutants else 100.0


def run(modules: list[str], *, jobs: int, show: bool) -> int:
    """Mutate ``modules`` (none named: all) and print the table; 0 when all reach ``LEAST``.

    ``jobs`` tests run at once; ``show`` prints every unnoticed change.
    """
    unknown = sorted(set(modules) - set(MODULES))
    if unknown:
        fail(f"not measured: {', '.join(unknown)}; there are: {', '.join(MODULES)}")
    started = time.monotonic()
    scores = []
    for module in modules or MODULES:
        with tempfile.TemporaryDirectory(prefix="storefront-mutate-") as folder:
            scores.append(_measure(Path(folder), module, jobs, show=show))
    return report(scores, time.monotonic() - started)


def report(scores: list[Score], seconds: float) -> int:
    """Print the table of ``scores``; return 1 if one of them or their sum is too low."""
    row = "{:<16}{:>9}{:>9}{:>10}{:>10}{:>9}"
    print(row.format("module", "mutants", "killed", "timeout", "survived", "score"))
    rows = [*scores, _together(scores)] if len(scores) > 1 else scores
    for score in rows:
        counts = (score.mutants, score.killed, score.timed_out, len(score.survivors))
        print(row.format(score.module, *counts, f"{score.percent:.1f} %"))
    low = [score.module for score in rows if score.percent < LEAST]
    if low:
        bad(f"below {LEAST} %: {', '.join(low)}")
        return 1
    good(f"at least {LEAST} % everywhere ({seconds / 60:.0f} min)")
    return 0


def score_of(module: str, results: dict[str, int | None]) -> Score:
    """Return the score of ``module`` from mutmut's exit code per mutant.

    Whatever is neither a failed test nor a run out of time counts as unnoticed.
    """
    codes = list(results.values())
    return Score(
        module,
        killed=sum(code in _KILLED for code in codes),
        timed_out=sum(code in _TIMED_OUT for code in codes),
        survivors=tuple(name for name, code in results.items() if code not in _KILLED | _TIMED_OUT),
    )


def _together(scores: Iterable[Score]) -> Score:
    scores = list(scores)
    return Score(
        "together",
        sum(score.killed for score in scores),
        sum(score.timed_out for score in scores),
        tuple(name for score in scores for name in score.survivors),
    )


def _measure(folder: Path, module: str, jobs: int, *, show: bool) -> Score:
    _lay_out(folder, module)
    meta = folder / "mutants" / _DOMAIN / f"{module}.py.meta"
    log = folder / "mutmut.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [tool("mutmut"), "run", "--max-children", str(jobs)],
            cwd=folder,
            env=_environ(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        while process.poll() is None:
            time.sleep(0.5)
            results = _results(meta)
            progress(module, sum(code is not None for code in results.values()), len(results))
    finally:
        progress(module, 1, 1)
        if process.poll() is None:
            process.terminate()
            process.wait()
    results = _results(meta)
    if process.returncode or not results or None in results.values():
        print(log.read_text(encoding="utf-8", errors="replace")[-4000:])
        fail(f"mutmut could not measure {module} (exit code {process.returncode})")
    score = score_of(module, results)
    good(f"{module}: {score.mutants - len(score.survivors)} of {score.mutants} noticed")
    if show:
        for name in score.survivors:
            _show(folder, name)
    return score


def _lay_out(folder: Path, module: str) -> None:
    """Put the rules, the tests that answer for ``module`` and the settings into ``folder``."""
    (folder / _TESTS).mkdir(parents=True)
    shutil.copytree(ROOT / _DOMAIN, folder / _DOMAIN, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "storefront" / "__init__.py", folder / "storefront")
    for name in MODULES[module]:
        shutil.copy(ROOT / _TESTS / name, folder / _TESTS)
    (folder / "tests" / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
    settings = _PYPROJECT.format(
        source=json.dumps((_DOMAIN / f"{module}.py").as_posix()),
        tests=json.dumps([(_TESTS / name).as_posix() for name in MODULES[module]]),
    )
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")


def _environ() -> dict[str, str]:
    """Return our environment without the way to the unchanged rules and to pytest's plugins."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONUNBUFFERED": "1"}


def _results(meta: Path) -> dict[str, int | None]:
    """Return the exit code per mutant, None while it waits; empty while mutmut writes it."""
    try:
        results: dict[str, int | None] = json.loads(meta.read_text("utf-8"))["exit_code_by_key"]
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return results


def _show(folder: Path, name: str) -> None:
    """Print what mutmut changed in the mutant ``name``."""
    subprocess.run([tool("mutmut"), "show", name], cwd=folder, env=_environ(), check=False)
