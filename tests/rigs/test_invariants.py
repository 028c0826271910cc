"""The list of invariants in the docs is the list that is asked."""

import re

from storefront.jobs.selfcheck import EXTRA
from storefront.queries.invariants import INVARIANTS
from tools.environment import ROOT


def test_the_docs_list_every_invariant_and_no_other():
    text = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([A-Z]+\d*(?:-[a-z]+)?) \|", text, re.MULTILINE)

    assert sorted(listed) == sorted(invariant.id for invariant in (*INVARIANTS, *EXTRA))
