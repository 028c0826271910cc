"""The design page draws every part in every frame and language, for staff only."""

import re
from pathlib import Path

import pytest

import storefront
from storefront.blueprints.admin.design import FRAMES, design
from storefront.security import POLICY
from tests.support.admin import desk

TEMPLATES = Path(storefront.__file__).parent / "templates" / "storefront"


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough: the page reads nothing but the shop's name."""
    return databases.sqlite(tmp_path)


def drawn(app, query):
    with app.test_request_context(f"/admin/design?{query}"):
        return design()


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_every_frame_holds_every_part_in_every_language(app, frame, language):
    page = drawn(app, f"frame={frame}&lang={language}")
    assert f'<html lang="{language}"' in page
    assert page.count("<h1") == 1
    assert page.count('class="pill ') > 40


def test_every_part_there_is_stands_on_the_page():
    """A macro is drawn by the page, or by one that is."""
    texts = [path.read_text(encoding="utf-8") for path in (TEMPLATES / "components").iterdir()]
    bodies = {
        name: body
        for text in texts
        for name, body in re.findall(r"{%-? macro (\w+)\((.*?){%-? endmacro", text, re.DOTALL)
    }
    drawn = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.glob("admin/*design*"))
    drawn += (TEMPLATES / "base.html").read_text(encoding="utf-8")
    left = dict(bodies)
    while found := [name for name in left if re.search(rf"\b{name}\(", drawn)]:
        drawn += "".join(left.pop(name) for name in found)
    # What answers a request, which the page does not make by itself.
    assert set(left) == {"announce"}
    assert len(bodies) > 50


def test_an_id_is_used_once(app):
    ids = re.findall(r'\sid="([^"]+)"', drawn(app, "frame=admin"))
    assert sorted(ids) == sorted(set(ids))


def test_an_error_is_linked_to_its_field_in_both_directions(app):
    page = drawn(app, "frame=account&errors=1")
    assert '<a href="#email">Enter an e-mail like name@example.com</a>' in page
    email = re.search(r'<input[^>]*id="email"[^>]*>', page)[0]
    assert 'aria-invalid="true"' in email
    assert 'aria-describedby="email-hint email-error"' in email
    assert 'value="ada@"' in email


def test_an_error_of_a_group_leads_to_its_first_choice(app):
    page = drawn(app, "frame=account&errors=1")
    assert '<a href="#pause-0">' in page
    assert 'id="pause-0"' in page


def test_an_unknown_frame_is_the_admins(app):
    assert 'class="admin dense"' in drawn(app, "frame=../../etc")


def test_its_samples_answer_and_store_nothing(app, rt):
    browser = desk(app, rt)
    answer = browser.post("/admin/design?frame=shop", {"email": "ada@"})
    assert (answer.status_code, answer.location) == (303, "/admin/design?frame=shop")
    assert "A sample: nothing was saved." in browser.get(answer.location).text


def test_only_staff_may_see_it(app, client):
    assert POLICY["admin.design"].kind == "staff"
    if "admin.design" in app.view_functions:
        assert client.get("/admin/design").status_code in {303, 401}


@pytest.mark.parametrize("frame", FRAMES)
def test_staff_get_it_with_and_without_errors(app, rt, frame):
    browser = desk(app, rt)
    for query in (f"frame={frame}", f"frame={frame}&errors=1"):
        assert browser.get(f"/admin/design?{query}").status_code == 200
