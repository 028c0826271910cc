"""German and French say what English says: the same values, fixed words for states."""

import ast
import re
from pathlib import Path

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from storefront.templating import LANGUAGES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "storefront" / "translations"
CODES = [code for code, _name in LANGUAGES if code != "en"]


def catalogue(code):
    with (FOLDER / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=code)


def values_of(text):
    return sorted(re.findall(r"%\((\w+)\)[sd]", text))


def pairs(code):
    """(English, translated) of every sentence that is translated, plural forms one by one."""
    for message in catalogue(code):
        if not message.id:
            continue
        if isinstance(message.id, tuple):
            for form in message.string:
                yield message.id[1], form
        else:
            yield message.id, message.string


@pytest.mark.parametrize("code", CODES)
def test_a_translation_names_the_same_values(code):
    wrong = [
        (english, other)
        for english, other in pairs(code)
        if other and not set(values_of(other)) <= set(values_of(english))
    ]
    lost = [
        (english, other)
        for english, other in pairs(code)
        if other and set(values_of(english)) - set(values_of(other)) - {"num"}
    ]
    assert (wrong, lost) == ([], [])


@pytest.mark.parametrize("code", CODES)
def test_a_translation_keeps_percent_signs_that_are_not_values(code):
    for english, other in pairs(code):
        if "%(" in english and other:
            assert re.sub(r"%\(\w+\)[sd]|%%", "", other).count("%") == 0, other


def test_english_spells_one_word_one_way():
    wrong = [english for english, _other in pairs("de") if re.search("cancel(ed|ing)", english)]
    assert wrong == []


def test_no_label_is_one_word_that_could_mean_two_things():
    vague = {"Go on", "In", "Out", "Left", "Until", "To credit", "told", "moved", "gone"}
    assert vague.isdisjoint(english for english, _other in pairs("de"))


def test_french_keeps_its_marks_on_the_line_with_a_narrow_space():
    wrong = [other for _english, other in pairs("fr") if re.search(r"[ \u00a0][:;?!]", other)]
    assert wrong == []


@pytest.mark.parametrize(
    ("english", "german", "french"),
    [
        ("Past due", "Zahlung offen", "Paiement en retard"),
        ("Paused", "Pausiert", "En pause"),
        ("Needs your confirmation", "Bestätigung nötig", "Confirmation requise"),
        ("Being packed", "Wird gepackt", "En préparation"),
        ("Delivered", "Zugestellt", "Livrée"),
        ("Checking", "Wird geprüft", "Vérification"),
        ("Cancel a contract here", "Verträge hier kündigen", "Résilier votre contrat"),
        ("Withdraw from contract here", "Vertrag widerrufen", "Se rétracter ici"),
        ("Undo", "Rückgängig", "Annuler cette action"),
    ],
)
def test_states_and_legal_links_have_their_fixed_words(english, german, french):
    assert catalogue("de")[english].string == german
    assert catalogue("fr")[english].string == french


@pytest.mark.parametrize(
    ("code", "words"),
    [("de", ("im Monat", "alle %(num)s Monate")), ("fr", ("par mois", "tous les %(num)s mois"))],
)
def test_intervals_have_singular_and_plural(code, words):
    assert catalogue(code)["a month"].string == words


@pytest.fixture(scope="module")
def asked_for():
    """(context, text) of all that the source asks to be translated."""
    keywords = {**DEFAULT_KEYWORDS, "lazy_gettext": None, "lazy_ngettext": (1, 2)}
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(ROOT, methods, options, keywords=keywords)
    return {(context, text) for _file, _line, text, _comments, context in found}


@pytest.fixture(scope="module")
def written():
    """Every text of the source, such as a name of a check that a page translates."""
    return {
        node.value
        for path in (ROOT / "storefront").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("code", CODES)
def test_a_catalogue_has_all_that_is_asked_for_and_nothing_else(code, asked_for, written):
    there = {(message.context, message.id) for message in catalogue(code) if message.id}
    missing = {one for one in asked_for if one[1]} - there
    unused = [
        text
        for context, text in there - asked_for
        if (text if isinstance(text, str) else text[1]) not in written
    ]
    assert (sorted(map(str, missing)), unused) == ([], [])
