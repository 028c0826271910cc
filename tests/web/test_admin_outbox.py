"""Messages and jobs in the admin: read, sent again, stopped; failed work tried again."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.jobs.work import OUTBOX, run_all, run_job
from storefront.models import AuditEntry, JobRun, OutboxMessage, ParkedWork
from storefront.operations.outbox import Message, enqueue
from storefront.runtime import Runtime
from storefront.services.signin import request_link
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import Desk, desk
from tests.support.orders import begin, paid


@pytest.fixture
def confirmed(rt: Runtime, demo_gateway: DemoGateway) -> str:
    """Public id of the mail that confirms an order."""
    plan = make.make_plan(rt, code="pot", name="Pot")
    paid(rt, demo_gateway, begin(rt, plan))
    return message(rt, "order_confirmed").public_id


@pytest.fixture
def support(app: Flask, rt: Runtime) -> Desk:
    return desk(app, rt, "support")


def message(rt: Runtime, topic: str) -> sa.Row:  # type: ignore[type-arg]
    row = rt.session.execute(
        sa.select(OutboxMessage.public_id, OutboxMessage.state).where(OutboxMessage.topic == topic)
    ).one()
    rt.session.rollback()
    return row


def test_a_mail_is_shown_as_its_reader_gets_it(rt: Runtime, support: Desk, confirmed: str) -> None:
    page = support.get(f"/admin/outbox/{confirmed}")
    assert "Your first box leaves on Thu 18 March" in page.text
    assert "ada@example.org" in page.text
    assert "<iframe" in page.text
    assert " sandbox " in page.text
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    mail = support.get(f"/admin/outbox/{confirmed}/mail")
    policy = mail.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert "Ada Lovelace" in mail.text


def test_a_mail_that_lets_its_reader_in_is_not_shown_to_staff(
    rt: Runtime, support: Desk, confirmed: str
) -> None:
    request_link(rt, "ada@example.org")
    reference = message(rt, "sign_in").public_id
    page = support.get(f"/admin/outbox/{reference}")
    assert "only its reader sees what it says" in page.text
    assert "/sign-in/link/" not in page.text
    assert support.get(f"/admin/outbox/{reference}/mail").status_code == 404


def test_filters_narrow_the_list_and_chips_widen_it(
    rt: Runtime, support: Desk, confirmed: str
) -> None:
    assert "1 message" in support.get("/admin/outbox?topic=order_confirmed&state=waiting").text
    page = support.get("/admin/outbox?state=dead&kind=mail").text
    assert "No message matches. Remove a filter." in page
    assert 'href="/admin/outbox?kind=mail"' in page
    assert "1 message" in support.get("/admin/outbox?state=nonsense&topic=nothing").text


def test_a_waiting_mail_is_stopped_and_sent_after_all(
    rt: Runtime, support: Desk, confirmed: str
) -> None:
    path = f"/admin/outbox/{confirmed}"
    support.get(path)
    assert "Stopped. It will not be sent." in support.post(f"{path}/stop", partial=True).text
    run_job(rt, OUTBOX)
    assert message(rt, "order_confirmed").state == "stopped"
    assert support.post(f"{path}/send-again").status_code == 303
    run_job(rt, OUTBOX)
    assert message(rt, "order_confirmed").state == "delivered"
    done = rt.session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert list(done)[-2:] == ["message.stopped", "message.sent_again"]


def test_a_mail_about_something_gone_says_so_and_breaks_nothing(rt: Runtime, support: Desk) -> None:
    gone = Message("mail", "receipt", "mail:gone", {"invoice": "inv_x", "subscription": "sub_x"})
    enqueue(rt.session, [gone], rt.now())
    rt.session.commit()
    reference = message(rt, "receipt").public_id
    assert "nothing left to say" in support.get(f"/admin/outbox/{reference}").text


def test_an_event_shows_what_plugins_are_told_escaped(rt: Runtime, support: Desk) -> None:
    payload = {"subject": "sub_x", "occurred_at": "2027-03-02", "data": {"note": "<i>odd</i>"}}
    enqueue(rt.session, [Message("event", "subscription.held", "event:x", payload)], rt.now())
    rt.session.commit()
    page = support.get(f"/admin/outbox/{message(rt, 'subscription.held').public_id}").text
    assert "&lt;i&gt;odd&lt;/i&gt;" in page


def test_an_unknown_message_is_not_there(support: Desk) -> None:
    for path in ("/admin/outbox/msg_x", "/admin/outbox/msg_x/mail"):
        assert support.get(path).status_code == 404
    assert support.post("/admin/outbox/msg_x/stop").status_code == 404


def test_jobs_say_what_they_did_and_what_broke(app: Flask, rt: Runtime) -> None:
    run_all(rt)
    rt.session.execute(sa.update(JobRun).where(JobRun.job == "export").values(error="disk full"))
    rt.session.commit()
    page = desk(app, rt).get("/admin/jobs").text
    assert "Renew subscriptions" in page
    assert "disk full" in page
    assert "Stopped early" in page
    assert "Nothing was set aside." in page


def test_failed_work_is_tried_again_once(app: Flask, rt: Runtime) -> None:
    rt.session.execute(
        sa.insert(ParkedWork).values(
            kind="box", subject="box_x", reason="DataError", detail="<x>", parked_at=rt.now()
        )
    )
    rt.session.commit()
    key = rt.session.scalar(sa.select(ParkedWork.id))
    rt.session.rollback()
    owner = desk(app, rt)
    assert "&lt;x&gt;" in owner.get("/admin/jobs").text
    path = f"/admin/jobs/parked/{key}/try-again"
    assert "Nothing was set aside." in owner.post(path, partial=True).text
    assert "Somebody has done that already." in owner.post(path, partial=True).text


def test_support_does_not_see_jobs(support: Desk) -> None:
    assert support.get("/admin/jobs").status_code == 403
    assert 'href="/admin/jobs"' not in support.get("/admin/").text
