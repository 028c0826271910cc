"""The messages of forms: none is the library's."""

from __future__ import annotations

import gettext
import importlib
import pkgutil
from pathlib import Path

import pytest
import wtforms
from flask import Flask
from flask_babel import Babel, force_locale
from werkzeug.datastructures import MultiDict
from wtforms import IntegerField, SelectField, StringField
from wtforms.validators import DataRequired, Length

from storefront import blueprints
from storefront.blueprints.forms import Form

_OF_THE_LIBRARY = Path(wtforms.__file__).parent / "locale/de/LC_MESSAGES/wtforms.mo"
_TRANSLATIONS = Path(__file__).parents[2] / "storefront/translations"


class Sample(Form):
    """Fields that bring no text of their own."""

    name = StringField("Name", [DataRequired()])
    line = StringField("Line", [Length(max=3)])
    number = IntegerField("Number")
    kind = SelectField("Kind", choices=["tea", "cake"])


@pytest.fixture
def app() -> Flask:
    """An application that knows the languages of the shop, and nothing else."""
    app = Flask(__name__)
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(_TRANSLATIONS)
    Babel(app)
    return app


def errors(language: str) -> dict[str, list[str]]:
    """Return what a form with everything wrong says."""
    with force_locale(language):
        form = Sample(MultiDict({"line": "four", "number": "many", "kind": "soup"}))
        assert not form.validate()
        return {name: [str(one) for one in found] for name, found in form.errors.items()}


def test_a_field_without_a_text_of_its_own_says_what_to_do(app: Flask) -> None:
    with app.test_request_context():
        assert errors("en") == {
            "name": ["Fill in this field"],
            "line": ["Use 3 characters or fewer"],
            "number": ["Enter a whole number, like 120"],
            "kind": ["Choose one from the list"],
        }


@pytest.mark.parametrize("language", ["de", "fr"])
def test_it_says_so_in_the_readers_language(app: Flask, language: str) -> None:
    with app.test_request_context():
        there, english = errors(language), errors("en")
        assert there.keys() == english.keys()
        assert all(there[name] != english[name] for name in english)


def test_no_text_of_the_library_is_left(app: Flask) -> None:
    with _OF_THE_LIBRARY.open("rb") as file:
        known = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    texts = {text if isinstance(text, str) else text[0] for text in known if text}
    assert len(texts) >= 30
    with app.test_request_context():
        ours = Sample().meta.get_translations(None)
        for text in texts:
            said = {ours.gettext(text), ours.ngettext(text, text, 2)}
            assert text not in said
            assert not any("nvalid" in one or "not a valid" in one.lower() for one in said)


def test_every_form_of_the_shop_stands_on_that_base() -> None:
    for module in pkgutil.walk_packages(blueprints.__path__, f"{blueprints.__name__}."):
        importlib.import_module(module.name)
    others = [
        kind
        for kind in _kinds_of(wtforms.Form)
        if kind.__module__.startswith("storefront.") and not issubclass(kind, Form)
    ]
    drawn_and_never_sent = {
        "storefront.blueprints.admin.design.SampleForm",
        "storefront.blueprints.admin.design_samples.SampleAddress",
    }
    assert {f"{kind.__module__}.{kind.__name__}" for kind in others} == drawn_and_never_sent


def _kinds_of(base: type) -> list[type]:
    return [kind for each in base.__subclasses__() for kind in (each, *_kinds_of(each))]
