"""Writing recipes for first boxes and for countries."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Flask

from storefront.models import Recipe
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import desk


def keys(rt: Runtime) -> list[str]:
    found = list(rt.session.scalars(sa.select(Recipe.option_key).order_by(Recipe.option_key)))
    rt.session.rollback()
    return found


def test_a_recipe_for_some_boxes_is_written_listed_and_kept_apart(app: Flask, rt: Runtime) -> None:
    owner = desk(app, rt)
    plan = make.make_plan(rt, group=make.make_group(rt))
    tea = make.make_variant(rt, on_hand=5)
    path = f"/admin/recipes/{plan.public_id}"
    typed = {f"pieces-{tea.public_id}": "1", "do": "save"}
    owner.get(path)
    assert owner.post(path, typed).status_code == 303

    first = owner.post(f"{path}?from=1&until=1&to=", typed)
    assert first.location == f"{path}?from=1&until=1"
    later = owner.post(f"{path}?from=13", typed)
    assert later.location == f"{path}?from=13"
    abroad = owner.post(f"{path}?to=DE&to=AT&from=2&until=3", typed)
    assert abroad.location == f"{path}?to=AT&to=DE&from=2&until=3"
    assert keys(rt) == ["", "#1", "#13-", "#2-3&@AT+DE"]
    page = owner.get(f"{path}?to=DE&to=AT&from=2&until=3").text
    listed = page.partition("Standing recipes")[2]
    for name in ("Every box", "first box", "from box 13 on"):
        assert f">{name}</a>" in listed
    assert "to Austria and Germany, boxes 2 to 3" in listed
    assert '<option value="3" selected>3</option>' in page
    assert 'name="to" value="AT" id="recipe-to-AT" checked' in page

    # What the list links to is what it names.
    assert f'href="{path}?from=13"' in listed
    tied = owner.post(f"{path}?from=1&until=2", typed)
    assert tied.status_code == 422
    assert "Some boxes would fit this recipe and the one for “first box” alike" in tied.text
    assert keys(rt) == ["", "#1", "#13-", "#2-3&@AT+DE"]
    assert "Nothing is written for these boxes." in owner.get(f"{path}?from=4&until=5").text
    # What is no number or country is no page.
    for wrong in ("from=0", "until=25", "from=x", "to=Austria", "to=%26"):
        assert owner.get(f"{path}?{wrong}").status_code == 404, wrong


def test_boxes_that_end_before_they_begin_are_refused_beside_the_field(
    app: Flask, rt: Runtime
) -> None:
    owner = desk(app, rt)
    plan = make.make_plan(rt, group=make.make_group(rt))
    tea = make.make_variant(rt, on_hand=5)
    path = f"/admin/recipes/{plan.public_id}"
    typed = {f"pieces-{tea.public_id}": "1", "do": "save"}
    owner.get(path)

    for answer in (
        owner.get(f"{path}?from=9&until=8&to=AT"),
        owner.post(f"{path}?from=9&until=8&to=AT", typed),
    ):
        assert answer.status_code == 422
        assert '<option value="9" selected>9</option>' in answer.text
        assert '<option value="8" selected>8</option>' in answer.text
        assert 'value="AT" id="recipe-to-AT" checked' in answer.text
        field = answer.text.partition('<label for="recipe-until">')[2].partition("</select>")[0]
        assert "Choose box 9 or a later one, or leave it open" in field
        assert 'aria-describedby="recipe-until-error"' in field
        assert 'href="#recipe-until"' in answer.text
        assert "Save recipe" not in answer.text
    assert keys(rt) == []
