"""Where parcels are followed: known carriers however they are written, and a merchant's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.carriers.links import LINKS, NUMBER, is_link, plain_name, tracking_link


@pytest.mark.parametrize("carrier", LINKS)
def test_every_known_page_can_be_used(carrier):
    assert is_link(LINKS[carrier])
    assert plain_name(carrier) == carrier


@pytest.mark.parametrize("carrier", ["DHL", "dhl", "DHL Paket", "Deutsche Post", "d.h.l."])
def test_a_carrier_is_known_however_it_is_written(carrier):
    assert tracking_link(carrier, "JJD1", {}).endswith("piececode=JJD1")


@pytest.mark.parametrize(("carrier", "number"), [("", "1"), ("DHL", ""), ("Bike", "1")])
def test_without_carrier_number_or_page_there_is_no_link(carrier, number):
    assert tracking_link(carrier, number, {}) == ""


def test_a_merchants_page_stands_before_ours():
    own = {"D.H.L": "https://other.example/?n={number}"}

    assert tracking_link("dhl", "1 2", own) == "https://other.example/?n=1%202"


@given(st.text(min_size=1))
def test_a_number_cannot_leave_its_place_in_the_address(number):
    link = tracking_link("UPS", number, {})

    start = LINKS["ups"].replace(NUMBER, "")
    assert link.startswith(start)
    assert not set(link[len(start) :]) & set("&#\"'<>/ ?")
