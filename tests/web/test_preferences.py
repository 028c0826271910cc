"""A visitor chooses language and colours, with and without an account."""

import pytest
from flask import Flask
from flask.testing import FlaskClient


@pytest.fixture(autouse=True)
def _without_forgery_check(app: Flask) -> None:
    """Forged requests have their own tests (``test_security.py``)."""
    app.config["WTF_CSRF_ENABLED"] = False


def test_the_choice_is_kept_and_the_page_shown_again(client: FlaskClient):
    answer = client.post("/look", data={"language": "de", "theme": "dark", "to": "/x?y=1"})
    assert (answer.status_code, answer.location) == (303, "/x?y=1")
    page = client.get("/nowhere").text
    assert '<html lang="de" data-theme="dark">' in page


def test_what_nobody_offers_is_forgotten(client: FlaskClient):
    client.post("/look", data={"language": "de", "theme": "dark"})
    client.post("/look", data={"language": "tlh", "theme": "system"})
    assert '<html lang="en">' in client.get("/nowhere").text


def test_the_way_back_never_leaves_the_site(client: FlaskClient):
    answer = client.post("/look", data={"language": "de", "to": "//evil.example"})
    assert "evil" not in answer.location
