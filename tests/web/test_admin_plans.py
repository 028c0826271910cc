"""Plans and cycle groups in the admin: each section on its own, messages beside the fields."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import CycleGroup, Plan, Price
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.population import populate
from tests.support.admin import Desk, desk


@pytest.fixture
def pot(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    return desk(app, rt)


def prices(rt: Runtime) -> list[tuple[int, bool]]:
    rows = rt.session.execute(
        sa.select(Price.amount_minor, Price.retired_at.is_(None)).order_by(Price.id)
    ).all()
    rt.session.rollback()
    return [(row[0], bool(row[1])) for row in rows]


NEW = {
    "name": "Table",
    "amount": "42,00",
    "billing": "1m",
    "shipping": "1m",
    "tax_class": "reduced",
}


def test_a_merchant_makes_a_plan_that_shoppers_can_see(rt: Runtime, owner: Desk) -> None:
    group = make.make_group(rt)
    owner.get("/admin/plans/new")
    answer = owner.post("/admin/plans/new", {**NEW, "group": group.public_id})
    assert answer.status_code == 303
    page = owner.get(answer.location).text
    assert "The plan is on sale." in page
    assert "€42.00" in page
    assert "Table" in owner.client.get("/").text


def test_wrong_input_keeps_what_was_typed_and_says_why(rt: Runtime, owner: Desk) -> None:
    group = make.make_group(rt)
    owner.get("/admin/plans/new")
    for typed, message in (
        ("26,0.0", "Enter an amount like 26.00"),
        ("-3", "An amount cannot be below 0"),
        ("1,234", "Enter an amount like 26.00"),
        ("", "Enter an amount like 26.00"),
        ("0.00", "A price is above 0."),
        ("1000000.00", "Enter 999999.99 at most"),
        ("999999999", "Enter 999999.99 at most"),
    ):
        fields = {**NEW, "group": group.public_id, "amount": typed}
        answer = owner.post("/admin/plans/new", fields)
        assert answer.status_code == 422
        assert message in answer.text
        assert 'value="Table"' in answer.text
        assert f'value="{typed}"' in answer.text
        assert "<title>Error: " in answer.text
    fields = {**NEW, "group": group.public_id, "billing": "2w"}
    assert "Must be a whole multiple" in owner.post("/admin/plans/new", fields).text
    fields = {**NEW, "group": group.public_id, "shipping": "1w", "billing": "4w"}
    wrong = owner.post("/admin/plans/new", fields)
    assert wrong.status_code == 422
    assert "leave at another rhythm" in wrong.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Plan)) == 0


def test_the_list_counts_subscribers_and_leads_to_them(rt: Runtime, owner: Desk, pot: Plan) -> None:
    populate(rt, pot, make.price_of(rt, pot), 3, date(2027, 3, 12))
    assert '<a href="/admin/subscribers?plan=pot">3</a>' in owner.get("/admin/plans").text
    assert "3 subscriptions" in owner.get("/admin/subscribers?plan=pot").text


def change(owner: Desk, plan: Plan, price: str, amount: str, *, partial: bool = False) -> Any:
    """Send the form of one price."""
    fields = {"for": price, f"{price}-amount": amount}
    return owner.post(f"/admin/plans/{plan.public_id}/prices", fields, partial=partial)


def ref_of(rt: Runtime, minor: int) -> str:
    """Return the public id of the price on sale at ``minor``."""
    found = rt.session.scalars(
        sa.select(Price.public_id).where(Price.amount_minor == minor, Price.retired_at.is_(None))
    ).one()
    rt.session.rollback()
    return found


def test_a_new_price_says_how_many_keep_theirs(rt: Runtime, owner: Desk, pot: Plan) -> None:
    populate(rt, pot, make.price_of(rt, pot), 3, date(2027, 3, 12))
    owner.get(f"/admin/plans/{pot.public_id}")
    answer = change(owner, pot, ref_of(rt, 2600), "29.00", partial=True)
    assert answer.status_code == 200
    assert "Applies to new sales from now. 3 subscribers keep €26.00." in answer.text
    assert "<html" not in answer.text
    assert prices(rt) == [(2600, False), (2900, True)]


def test_each_price_has_its_own_form_with_its_country_and_currency(
    rt: Runtime, owner: Desk, pot: Plan
) -> None:
    for country, currency, minor in (("DE", "CHF", 2900), ("AT", "JPY", 29), ("DE", "EUR", 1000)):
        make.make_price(rt, pot, amount_minor=minor, currency=currency, country=country)
    shown = owner.get(f"/admin/plans/{pot.public_id}").text
    for minor, typed, name in (
        (2600, "26.00", "Monthly EUR"),
        (2900, "29.00", "Monthly, Germany CHF"),
        (29, "29", "Monthly, Austria JPY"),
        (1000, "10.00", "Monthly, Germany EUR"),
    ):
        ref = ref_of(rt, minor)
        form = shown.partition(f'id="price-{ref}"')[2].partition("</form>")[0]
        assert f'value="{typed}"' in form
        assert name in form
        retire = shown.partition(f"/prices/{ref}/retire")[2].partition("</form>")[0]
        assert name in retire


def test_the_form_of_a_price_changes_that_price_and_no_other(
    rt: Runtime, owner: Desk, pot: Plan
) -> None:
    yen = make.make_price(
        rt,
        pot,
        amount_minor=31,
        currency="JPY",
        country="AT",
        sign_up_fee_minor=5,
        phases=[{"boxes": 3, "amount_minor": 9}],
    ).public_id
    owner.get(f"/admin/plans/{pot.public_id}")
    assert change(owner, pot, yen, "44").status_code == 303
    assert prices(rt) == [(2600, True), (31, False), (44, True)]
    new = rt.session.scalars(sa.select(Price).where(Price.amount_minor == 44)).one()
    assert (new.country, new.currency, new.version) == ("AT", "JPY", 2)
    assert (new.sign_up_fee_minor, new.phases) == (5, [{"boxes": 3, "amount_minor": 9}])


def test_a_price_sent_twice_or_from_an_old_page_is_not_changed_again(
    rt: Runtime, owner: Desk, pot: Plan
) -> None:
    old = ref_of(rt, 2600)
    owner.get(f"/admin/plans/{pot.public_id}")
    change(owner, pot, old, "29.00")
    again = change(owner, pot, old, "29.00", partial=True)
    assert "That is the price already." in again.text
    late = change(owner, pot, old, "31.00", partial=True)
    assert "That price is sold no more." in late.text
    assert change(owner, pot, "pri_x", "31.00").status_code == 404
    assert prices(rt) == [(2600, False), (2900, True)]


def test_full_width_digits_are_digits_and_nothing_is_sold_at_zero(
    rt: Runtime, owner: Desk, pot: Plan
) -> None:
    owner.get(f"/admin/plans/{pot.public_id}")
    wrong = change(owner, pot, ref_of(rt, 2600), "0,00", partial=True)
    assert (wrong.status_code, "A price is above 0." in wrong.text) == (422, True)
    wide = "\N{FULLWIDTH DIGIT TWO}\N{FULLWIDTH DIGIT NINE}\N{FULLWIDTH FULL STOP}5"
    assert change(owner, pot, ref_of(rt, 2600), wide).status_code == 303
    assert prices(rt) == [(2600, False), (2950, True)]


def test_a_wrong_price_is_answered_at_its_own_field(rt: Runtime, owner: Desk, pot: Plan) -> None:
    owner.get(f"/admin/plans/{pot.public_id}")
    ref = ref_of(rt, 2600)
    answer = change(owner, pot, ref, "much", partial=True)
    assert answer.status_code == 422
    assert f'id="{ref}-amount-error"' in answer.text
    assert 'value="much"' in answer.text
    assert prices(rt) == [(2600, True)]


def test_another_interval_is_added_and_its_saving_worked_out(
    rt: Runtime, owner: Desk, pot: Plan
) -> None:
    path = f"/admin/plans/{pot.public_id}"
    owner.get(path)
    assert owner.post(f"{path}/prices", {"amount": "74.10", "billing": "3m"}).status_code == 303
    page = owner.get(path).text
    assert "save 5%" in page
    assert "€24.70" in page


def test_a_merchant_sells_any_number_of_days_weeks_months_or_years(
    rt: Runtime, owner: Desk
) -> None:
    group = make.make_group(rt, unit="day", count=1, charge_day=None, anchor_on=date(2027, 3, 1))
    owner.get("/admin/plans/new")
    fields = {**NEW, "group": group.public_id, "billing": ["20", "d"], "shipping": ["10", "d"]}
    made = owner.post("/admin/plans/new", fields)
    assert made.status_code == 303
    page = owner.get(made.location).text
    assert "Every 20 days" in page
    assert "every 20 days" in owner.client.get("/plans/table").text
    weeks = {**NEW, "name": "Weeks", "billing": ["6", "w"], "shipping": ["\uff16", "w"]}
    assert owner.post("/admin/plans/new", {**weeks, "group": group.public_id}).status_code == 303
    found = rt.session.execute(
        sa.select(Plan.shipping_count, Plan.shipping_unit, Price.count, Price.unit)
        .join(Price, Price.plan_id == Plan.id)
        .order_by(Plan.id)
    ).all()
    assert [tuple(row) for row in found] == [(10, "day", 20, "day"), (6, "week", 6, "week")]


@pytest.mark.parametrize(
    "typed", [["", "w"], ["0", "w"], ["53", "w"], ["4", "y"], ["1.5", "m"], ["6", "x"], ["-1", "d"]]
)
def test_an_interval_out_of_reason_is_asked_back(
    rt: Runtime, owner: Desk, typed: list[str]
) -> None:
    group = make.make_group(rt)
    owner.get("/admin/plans/new")
    answer = owner.post("/admin/plans/new", {**NEW, "group": group.public_id, "billing": typed})
    assert answer.status_code == 422
    assert "at most 365 days, 52 weeks, 36 months or 3 years" in answer.text
    assert 'id="billing-error"' in answer.text
    assert 'value="Table"' in answer.text


def test_an_interval_on_sale_is_changed_at_its_own_price(
    rt: Runtime, owner: Desk, pot: Plan
) -> None:
    path = f"/admin/plans/{pot.public_id}"
    owner.get(path)
    again = {"amount": "30", "billing": ["1", "m"]}
    answer = owner.post(f"{path}/prices", again, partial=True)
    assert (answer.status_code, "That is on sale already" in answer.text) == (422, True)
    assert prices(rt) == [(2600, True)]


def test_texts_are_saved_shown_and_escaped(rt: Runtime, owner: Desk, pot: Plan) -> None:
    path = f"/admin/plans/{pot.public_id}"
    owner.get(path)
    fields = {
        "name": "Pot <script>alert(1)</script>",
        "benefits": "One\n\n  Two  \n",
        "is_public": "y",
        "position": "3",
    }
    assert owner.post(f"{path}/text", fields).status_code == 303
    page = owner.get(path).text
    assert "<script>alert" not in page
    assert "Pot &lt;script&gt;" in page
    row = rt.session.execute(sa.select(Plan.benefits, Plan.is_recommended, Plan.position)).one()
    assert tuple(row) == (["One", "Two"], False, 3)


def test_fields_that_are_not_on_the_form_change_nothing(
    rt: Runtime, owner: Desk, pot: Plan
) -> None:
    path = f"/admin/plans/{pot.public_id}"
    owner.get(path)
    owner.post(f"{path}/text", {"name": "Pot", "code": "stolen", "cycle_group_id": "99", "id": "7"})
    row = rt.session.execute(sa.select(Plan.code, Plan.cycle_group_id, Plan.id)).one()
    assert tuple(row) == ("pot", pot.cycle_group_id, pot.id)


def test_the_chase_is_typed_in_days(rt: Runtime, owner: Desk, pot: Plan) -> None:
    path = f"/admin/plans/{pot.public_id}"
    owner.get(path)
    fields = {"tax_class": "reduced", "last_action": "pause"}
    wrong = owner.post(f"{path}/rules", {**fields, "retry_days": "7, 3"})
    assert (wrong.status_code, "Enter days in order, like 3, 8, 15" in wrong.text) == (422, True)
    assert owner.post(f"{path}/rules", {**fields, "retry_days": "2 4"}).status_code == 303
    row = rt.session.execute(sa.select(Plan.retry_days, Plan.last_action, Plan.tax_class)).one()
    assert tuple(row) == ([2, 4], "pause", "reduced")


def test_the_chase_has_a_time_of_day_and_never_exceeds_the_card_schemes(
    rt: Runtime, owner: Desk, pot: Plan
) -> None:
    path = f"/admin/plans/{pot.public_id}"
    assert "14 times in 30 days" in owner.get(path).text
    fields = {"tax_class": "reduced", "last_action": "pause", "retry_days": "2 4"}
    for time in ("24:00", "9", "nine"):
        wrong = owner.post(f"{path}/rules", {**fields, "retry_time": time})
        assert (wrong.status_code, "Enter a time like 09:00" in wrong.text) == (422, True)
    often = ", ".join(str(day) for day in range(1, 9))
    wrong = owner.post(f"{path}/rules", {**fields, "retry_days": f"{often}, 9"})
    assert (wrong.status_code, "at most 8 tries" in wrong.text) == (422, True)
    often = ", ".join(str(day) for day in range(1, 15))
    wrong = owner.post(f"{path}/rules", {**fields, "retry_days": often})
    assert (wrong.status_code, "allow 14 tries in 30 days" in wrong.text) == (422, True)
    saved = owner.post(f"{path}/rules", {**fields, "retry_time": "6:30"})
    assert saved.status_code == 303
    assert rt.session.scalar(sa.select(Plan.retry_minute)) == 390
    rt.session.rollback()
    assert 'value="06:30"' in owner.get(path).text


def test_questions_and_answers_are_added_and_taken_away(
    rt: Runtime, owner: Desk, pot: Plan
) -> None:
    path = f"/admin/plans/{pot.public_id}"
    owner.get(path)
    owner.post(f"{path}/questions", {"question": "How strong?"})
    fields = {"how-strong-option": "Strong", "how-strong-surcharge": "2"}
    added = owner.post(f"{path}/questions/how-strong", fields, partial=True)
    assert "+€2.00" in added.text
    again = owner.post(f"{path}/questions/how-strong", fields, partial=True)
    assert (again.status_code, "has that answer already" in again.text) == (422, True)
    dearer = owner.post(
        f"{path}/questions/how-strong/strong/price",
        {"how-strong.strong-surcharge": "2.50"},
        partial=True,
    )
    assert "+€2.50" in dearer.text
    wrong = owner.post(
        f"{path}/questions/how-strong/strong/price", {"how-strong.strong-surcharge": "much"}
    )
    assert (wrong.status_code, 'value="much"' in wrong.text) == (422, True)
    name = "how-strong.strong-new-name"
    renamed = owner.post(f"{path}/questions/how-strong/strong/name", {name: "Bold"}, partial=True)
    assert "Renamed; who has an answer keeps it." in renamed.text
    assert "Bold costs more per box" in renamed.text
    for empty in ("", "x" * 81):
        wrong = owner.post(f"{path}/questions/how-strong/strong/name", {name: empty})
        assert (wrong.status_code, '<details class="renames" open>' in wrong.text) == (422, True)
    asked = {"how-strong-new-name": "How bold?"}
    renamed = owner.post(f"{path}/question-names/how-strong", asked, partial=True)
    assert "<h3>How bold?</h3>" in renamed.text
    assert (
        owner.post(f"{path}/question-names/nothing", {"nothing-new-name": "Other"}).status_code
        == 404
    )
    owner.post(f"{path}/questions", {"question": "Milk?"})
    taken = owner.post(f"{path}/question-names/milk", {"milk-new-name": "how BOLD?"})
    assert (taken.status_code, "asks that already" in taken.text) == (422, True)
    gone = owner.post(f"{path}/questions/how-strong/strong", {"archived": "yes"}, partial=True)
    assert "no longer offered" in gone.text
    assert owner.post(f"{path}/questions/nothing/strong", {"archived": "yes"}).status_code == 404


def test_an_archived_plan_can_be_put_back_on_the_same_page(
    rt: Runtime, owner: Desk, pot: Plan
) -> None:
    path = f"/admin/plans/{pot.public_id}"
    owner.get(path)
    gone = owner.post(f"{path}/archive", partial=True)
    assert "Sell it again" in gone.text
    assert "Pot" not in owner.client.get("/").text.partition("<main")[2]
    back = owner.post(f"{path}/restore", partial=True)
    assert "On sale again." in back.text


def test_a_group_shows_its_days_before_it_is_made(rt: Runtime, owner: Desk) -> None:
    path = "/admin/cycle-groups/new"
    assert "charged Fri 12 March" in owner.get(path).text
    fields = {
        "name": "Monthly",
        "interval": "1m",
        "kind": "calendar",
        "charge_day": "20",
        "weekday": "1",
        "cutoff_days": "2",
        "lock_days": "3",
        "ship_days": "6",
        "ship_window_days": "2",
    }
    shown = owner.post(path, {**fields, "step": "preview"}, partial=True)
    assert "charged Sat 20 March" in shown.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(CycleGroup)) == 0
    rt.session.rollback()
    wrong = owner.post(path, {**fields, "ship_days": "1"})
    assert "Boxes ship on the lock day or later" in wrong.text
    assert owner.post(path, fields).status_code == 303
    assert "Monthly" in owner.get("/admin/cycle-groups").text


@pytest.mark.parametrize(
    ("day", "status", "message"),
    [
        ("9999-12-31", 422, "Choose a day from 2000-01-01 to 2199-12-31"),
        ("0001-01-01", 422, "Choose a day from 2000-01-01 to 2199-12-31"),
        ("2199-12-31", 303, ""),
        ("2000-01-01", 303, ""),
    ],
)
def test_a_group_begins_on_a_day_that_can_be_reckoned_with(
    rt: Runtime, owner: Desk, day: str, status: int, message: str
) -> None:
    owner.get("/admin/cycle-groups/new")
    fields = {"name": "Far", "interval": "1w", "kind": "rolling", "weekday": "1", "anchor": day}
    fields |= {"cutoff_days": "1", "lock_days": "3", "ship_days": "6", "ship_window_days": "2"}
    shown = owner.post("/admin/cycle-groups/new", {**fields, "step": "preview"}, partial=True)
    assert shown.status_code == (422 if message else 200)
    answer = owner.post("/admin/cycle-groups/new", fields)
    assert (answer.status_code, message in answer.text) == (status, True)


def test_names_without_a_latin_letter_are_names_too(rt: Runtime, owner: Desk) -> None:
    group = make.make_group(rt)
    owner.get("/admin/plans/new")
    for name in ("\u8336", "\u8336\u58f6", "\u8336 2", "\u9152 2", "!!!", "2"):
        answer = owner.post("/admin/plans/new", {**NEW, "group": group.public_id, "name": name})
        assert answer.status_code == 303, name
    again = owner.post("/admin/plans/new", {**NEW, "group": group.public_id, "name": "\u8336"})
    assert "There is a plan of this name already" in again.text
    codes = rt.session.scalars(sa.select(Plan.code)).all()
    assert len(set(codes)) == 6
    assert owner.client.get(f"/plans/{codes[0]}").status_code == 200


@pytest.mark.parametrize("blank", [" ", "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH SPACE}", "\t\n"])
def test_a_blank_is_no_name(rt: Runtime, owner: Desk, pot: Plan, blank: str) -> None:
    owner.get("/admin/plans/new")
    nameless = owner.post("/admin/plans/new", {**NEW, "name": blank})
    assert (nameless.status_code, "Enter a name" in nameless.text) == (422, True)
    path = f"/admin/plans/{pot.public_id}"
    assert owner.post(f"{path}/text", {"name": blank, "position": "1"}).status_code == 422
    assert owner.post(f"{path}/questions", {"question": blank}).status_code == 422
    assert rt.session.scalars(sa.select(Plan.name)).all() == ["Pot"]


def test_an_unknown_plan_is_not_there(owner: Desk) -> None:
    assert owner.get("/admin/plans/plan_x").status_code == 404
    for part in ("text", "prices", "rules", "archive", "questions"):
        fields = {"name": "X", "amount": "1", "billing": "1m", "question": "Q", "position": "1"}
        fields |= {"tax_class": "zero", "last_action": "cancel", "retry_days": ""}
        assert owner.post(f"/admin/plans/plan_x/{part}", fields).status_code == 404
