"""What every mail shows, whoever reads it: as plain text, or in a program that shows HTML."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from storefront.adapters.mail import Mail
from storefront.mails import compose
from storefront.models import OutboxMessage
from storefront.runtime import Runtime
from storefront.services import signin
from storefront.services.outbox import Delivery
from storefront.testing import factories as make
from tests.support.paying import waiting_mails

ADA = "ada@example.org"


def written(rt: Runtime, topic: str, **payload: Any) -> Mail:
    payload["to"] = ADA
    mail = compose(rt, Delivery(1, "out_1", "mail", topic, topic, payload, None, rt.now()))
    assert mail is not None
    rt.session.rollback()
    return mail


def seen(mail: Mail) -> str:
    """Return what a reader of HTML sees: all but what stands beside the subject in a list."""
    before, _hidden, rest = mail.html.partition('<div style="display:none')
    return before + rest.partition("</div>")[2]


def test_what_is_new_beside_the_headline_stands_where_it_is_read(rt: Runtime) -> None:
    told = {"subscription": "sub_1", "plan": "Pot", "currency": "EUR", "kind": "keep_back"}
    refused = {**told, "state": "refused", "reason": "It is on the van", "credit_minor": 0}
    credited = {**told, "state": "accepted", "reason": "", "credit_minor": 2600}
    for mail, words in (
        (written(rt, "late_change", **refused), "The reason: It is on the van"),
        (written(rt, "late_change", **credited), "It is not sent. €26.00 is on your credit."),
        (written(rt, "account_erased"), "This is the last mail to this address."),
        (written(rt, "box_replaced", plan="Pot", reason="returned"), "Your box came back to us."),
    ):
        assert (mail.text.count(words), seen(mail).count(words)) == (1, 1)


def test_a_code_that_deletes_the_account_says_so_and_signs_nobody_in(rt: Runtime) -> None:
    customer = make.make_customer(rt, email=ADA)
    signin.request_link(rt, ADA)
    signin.request_link(rt, ADA, purpose=signin.ERASE)
    topics = rt.session.scalars(sa.select(OutboxMessage.topic)).all()
    assert topics == ["sign_in", "sign_in"]
    welcome, goodbye = (compose(rt, one) for one in waiting_mails(rt, "sign_in"))
    rt.session.rollback()
    assert welcome is not None
    assert goodbye is not None
    code = goodbye.subject.partition(" ")[0]
    assert f"The code {code} deletes your account." in goodbye.text
    assert "/sign-in/" not in goodbye.text + goodbye.html
    assert welcome.text.count("only once") == 1
    with pytest.raises(signin.CodeRefused):
        signin.take_code(rt, ADA, code)
    with pytest.raises(signin.CodeRefused):
        signin.take_code(rt, ADA, welcome.subject.partition(" ")[0], signin.ERASE)
    assert signin.take_code(rt, ADA, code, signin.ERASE).id == customer.id
