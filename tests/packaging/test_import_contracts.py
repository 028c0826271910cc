"""The import contracts bite: a copy of the product with one sin against each breaks each."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tools.environment import ROOT, tool

SINS = {
    "storefront/models/base.py": "import storefront.services.sessions",
    "storefront/domain/money.py": "import sqlalchemy",
    "storefront/runtime.py": "import flask",
    "storefront/operations/ledger.py": "import storefront.adapters.mail",
    "storefront/services/sessions.py": "import storefront.services.renewals",
    "storefront/hooks.py": "import flask",
    "plugins/storefront_announcement/__init__.py": "import storefront.services.sessions",
}


def test_a_sin_against_each_contract_is_found(tmp_path: Path):
    for folder in ("storefront", "plugins"):
        ignored = shutil.ignore_patterns("__pycache__", "static", "templates", "translations")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path, sin in SINS.items():
        with (tmp_path / path).open("a", encoding="utf-8") as file:
            file.write(f"\n{sin}\n")

    found = subprocess.run(
        [tool("lint-imports"), "--no-cache", "--no-logo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{tmp_path / 'plugins'}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 1, found.stdout + found.stderr
    names = re.findall(r'^name = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    contracts = [name for name in names if name != "storefront"]
    assert len(contracts) == len(SINS)
    assert {name: f"{name} BROKEN" in found.stdout for name in contracts} == dict.fromkeys(
        contracts, True
    )
