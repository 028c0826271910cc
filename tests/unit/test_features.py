"""``docs/features.md`` counts what it lists, and each test it names is there."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
#: Groups of the feature list and how many features there are in all.
GROUPS, FEATURES = "ABCDEFGHIJKLMNO", 140
_NAMED = re.compile(r"\b(?:unit|services|web|scenarios|plugins|contract|rigs|browser)/[\w/]+")


def rows():
    """(id, feature, how it stands, where, shown by) of every row."""
    lines = [line for line in TEXT.splitlines() if line.startswith("| feature-")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def test_all_features_are_listed_once_in_their_groups():
    ids = [row[0].removeprefix("feature-") for row in rows()]
    assert len(ids) == len(set(ids)) == FEATURES
    for group in GROUPS:
        numbers = [int(each[1:]) for each in ids if each[0] == group]
        assert numbers == list(range(1, len(numbers) + 1)), group
    assert {each[0] for each in ids} == set(GROUPS)


def test_the_sums_are_those_of_the_rows():
    stands = Counter(row[2] for row in rows())
    assert stands.keys() == {"done", "partly", "not yet"}
    said = f"{stands['done']} done, {stands['partly']} partly, {stands['not yet']} not yet."
    assert said in TEXT


def test_what_works_names_a_test_that_is_there():
    for feature, _what, stands, _where, shown_by in rows():
        named = _NAMED.findall(shown_by)
        missing = [
            path
            for path in named
            if not (ROOT / "tests" / path).is_dir()
            and not (ROOT / "tests" / f"{path}.py").is_file()
        ]
        assert missing == [], feature
        assert (stands == "not yet") == (shown_by == ""), feature
