"""dev.py mutate: what counts as noticed, and when it fails."""

import tomllib
from pathlib import Path

import pytest

from tools import mutation
from tools.environment import ROOT
from tools.mutation import LEAST, MODULES, Score, report, score_of


def _score(module: str, noticed: int, unnoticed: int) -> Score:
    return Score(module, noticed, 0, tuple(f"{module}_{number}" for number in range(unnoticed)))


def test_a_failed_test_and_a_run_out_of_time_are_noticed_and_nothing_else_is():
    codes = {"killed": 1, "crashed": 3, "endless": -24, "shot": -9}
    unnoticed = {"passed": 0, "interrupted": 2, "untested": 33, "odd": 35, "waiting": None}

    score = score_of("money", {**codes, **unnoticed})

    assert (score.killed, score.timed_out) == (2, 2)
    assert score.survivors == tuple(unnoticed)
    assert (score.mutants, score.percent) == (9, 100 * 4 / 9)


def test_exactly_the_least_share_is_enough(capsys: pytest.CaptureFixture[str]):
    assert report([_score("money", LEAST, 100 - LEAST)], 60) == 0
    assert report([_score("money", LEAST - 1, 101 - LEAST)], 60) == 1
    assert f"below {LEAST} %: money" in capsys.readouterr().out


def test_one_module_that_is_too_low_fails_however_good_the_others_are(
    capsys: pytest.CaptureFixture[str],
):
    assert report([_score("money", 1000, 0), _score("rates", 8, 2)], 60) == 1
    said = capsys.readouterr().out
    assert f"below {LEAST} %: rates\n" in said
    assert any(
        line.split() == ["together", "1010", "1008", "0", "2", "99.8", "%"]
        for line in said.splitlines()
    )


def test_an_unknown_module_is_refused_by_name(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        mutation.run(["monney"], jobs=1, show=False)
    assert "not measured: monney" in capsys.readouterr().out


@pytest.mark.parametrize("module", MODULES)
def test_only_the_rules_and_the_tests_that_answer_for_them_are_laid_out(
    tmp_path: Path, module: str
):
    mutation._lay_out(tmp_path, module)

    laid = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.py")}
    tests = {f"tests/unit/domain/{name}" for name in MODULES[module]}
    rules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("storefront/domain/**/*.py")}
    assert laid == tests | rules | {"storefront/__init__.py", "tests/conftest.py"}
    settings = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert settings["mutmut"]["only_mutate"] == [f"storefront/domain/{module}.py"]
    assert set(settings["mutmut"]["pytest_add_cli_args_test_selection"]) == tests
