"""Boxes that leave in one parcel, as one row."""

from dataclasses import replace

from storefront.domain.carriers.fields import BOX_FIELDS, BoxFacts, item_fields
from storefront.domain.carriers.generic import GENERIC
from storefront.domain.carriers.together import as_one, rows_of, shared

HOME = {"street": "Weg 1", "country": "CH"}


def line(sku, pieces):
    return {
        "sku": sku,
        "pieces": pieces,
        "hs_code": "090210",
        "origin": "CN",
        "text": "tea",
        "value_minor": 890,
        "currency": "EUR",
        "grams": 100,
    }


def facts(name, plan, *contents):
    packing = {
        "plan": plan,
        "email": "a@example.org",
        "weight_grams": 500,
        "contents": [list(one) for one in contents],
        "customs": [line(sku, pieces) for sku, pieces in contents],
    }
    return BoxFacts("bat_1", name, "2027-03", "regular", 1, HOME, packing)


def test_a_parcel_is_named_by_its_first_box_and_holds_what_is_in_all() -> None:
    pot = facts("box_1", "Pot", ("ASSAM", 1))
    cup = facts("box_2", "Cup", ("ASSAM", 2), ("CUP", 1))
    one = as_one([pot, cup])
    got = {name: BOX_FIELDS[name](one) for name in ("box", "boxes", "plan", "quantity", "pieces")}
    assert got == {
        "box": "box_1",
        "boxes": "box_1; box_2",
        "plan": "Pot, Cup",
        "quantity": "2",
        "pieces": "4",
    }
    assert BOX_FIELDS["weight_kg"](one) == "1.000"
    assert BOX_FIELDS["customs_total"](one) == "35.60 EUR"
    assert item_fields(one, "ASSAM", 3)["customs_value"] == "8.90"
    tool = replace(GENERIC.layout, per_box=False)
    assert (rows_of(tool, [pot, cup]), rows_of(tool, [cup])) == ([one], [cup])
    assert rows_of(GENERIC.layout, [pot, cup]) == [pot, cup]


def test_grams_of_each_product_are_kept_in_a_parcel_of_several_boxes() -> None:
    pot, cup = facts("box_1", "Pot", ("ASSAM", 1)), facts("box_2", "Cup", ("ASSAM", 2), ("CUP", 1))
    assert "grams" not in as_one([pot, cup]).packing
    pot.packing.update(grams=[100])
    assert as_one([pot, cup]).packing["grams"] == []
    cup.packing.update(grams=[100, 340])
    assert as_one([pot, cup]).packing["grams"] == [100, 340]


def test_answers_and_what_was_paid_are_fields_of_their_own() -> None:
    pot = facts("box_1", "Pot", ("ASSAM", 1))
    pot.packing.update(answers=[["Size", "Large"], ["Taste", "Mild"]], price=[2185, 415, "EUR"])
    names = ("answers", "price_net", "price_tax", "price", "price_currency")
    said = [BOX_FIELDS[name](pot) for name in names]
    assert said == ["Size: Large; Taste: Mild", "21.85", "4.15", "26.00", "EUR"]
    cup = facts("box_2", "Cup", ("CUP", 1))
    # One that was locked before this was kept has none of it.
    assert [BOX_FIELDS[name](cup) for name in names] == [""] * 5
    cup.packing.update(answers=[["Size", "Large"]], price=[1000, 190, "EUR"])
    both = as_one([pot, cup])
    assert [BOX_FIELDS[name](both) for name in ("answers", "price")] == [said[0], "37.90"]
    cup.packing.update(price=[1000, 190, "CHF"])
    assert BOX_FIELDS["price"](as_one([pot, cup])) == ""


def test_gifts_and_other_addresses_leave_by_themselves() -> None:
    mail = {"email": "a@example.org"}
    gift = {**mail, "gift": {"from": "Bob"}}
    other = {**HOME, "extra": "c/o"}
    found = shared(
        [(5, 1, HOME, mail), (2, 1, HOME, mail), (3, 1, HOME, gift), (4, 1, other, mail)]
    )
    assert found == [[2, 5]]
