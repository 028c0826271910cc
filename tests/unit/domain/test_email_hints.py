"""Which address was meant: slips are seen, real addresses are left in peace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.email_hints import KNOWN, likely_meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ada@gmial.com", "ada@gmail.com"),
        ("ada@gmail.con", "ada@gmail.com"),
        ("ada@gmailcom", "ada@gmail.com"),
        ("ada@gmal.com", "ada@gmail.com"),
        ("ada@gnail.com", "ada@gmail.com"),
        ("ada@hotmial.con", "ada@hotmail.com"),
        ("ada@outloook.com", "ada@outlook.com"),
        ("Ada.B@GMX.DEE", "Ada.B@gmx.de"),
        ("ada@wbe.de", "ada@web.de"),
        ("ada@t-onlin.de", "ada@t-online.de"),
        ("ada@wanado.fr", "ada@wanadoo.fr"),
        ("ada@ninekettles.con", "ada@ninekettles.com"),
        ("ada+tea@gmial.com", "ada+tea@gmail.com"),
    ],
)
def test_a_slip_is_seen(typed: str, meant: str) -> None:
    assert likely_meant(typed) == meant


@pytest.mark.parametrize("domain", sorted(KNOWN))
def test_a_domain_many_people_use_is_never_doubted(domain: str) -> None:
    assert likely_meant(f"ada@{domain}") is None


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.org",
        "ada@ninekettles.example",
        "ada@uni-jena.de",
        "ada@kettle.co",
        "ada@shop.cm",
        "ada@outlook.be",
    ],
)
def test_an_address_of_ones_own_is_left_in_peace(address: str) -> None:
    assert likely_meant(address) is None


@pytest.mark.parametrize("text", ["", "ada", "ada@", "@gmial.com", "@", "ada@b@"])
def test_what_is_no_address_gets_no_hint(text: str) -> None:
    assert likely_meant(text) is None


@given(st.text(max_size=40))
def test_a_hint_keeps_the_name_and_is_not_doubted_again(text: str) -> None:
    meant = likely_meant(text)
    if meant is not None:
        assert meant.rpartition("@")[0] == text.strip().rpartition("@")[0]
        assert likely_meant(meant) is None


@given(st.sampled_from(sorted(one for one in KNOWN if len(one) >= 9)), st.data())
def test_two_letters_swapped_never_lead_to_another_domain(domain: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(domain) - 2))
    swapped = domain[:at] + domain[at + 1] + domain[at] + domain[at + 2 :]
    assert likely_meant(f"ada@{swapped}") in (f"ada@{domain}", None)
