"""The jobs of a day, run as the worker runs them."""

import gc
from collections import Counter
from datetime import date

import sqlalchemy as sa

from storefront.jobs.work import JOBS, Job, run_all, run_job
from storefront.jobs.worker import TICKS, settle_in
from storefront.models import JobRun, OutboxMessage
from storefront.operations.packing import Decided
from storefront.services.cycles import CloseReport
from storefront.testing import factories
from storefront.testing.population import populate

DUE = date(2027, 3, 12)


def test_every_job_is_in_exactly_one_tick():
    ticked = [job.name for jobs, _ in TICKS.values() for job in jobs]
    assert sorted(ticked) == sorted(job.name for job in JOBS)


def test_a_worker_looks_for_no_garbage_in_what_the_program_consists_of():
    try:
        settle_in()

        # Only what is made from here on is looked through; not the modules, for instance.
        assert not any(each is TICKS for each in gc.get_objects())
    finally:
        gc.unfreeze()


def test_a_day_of_work_renews_and_mails_the_receipt(rt, clock):
    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), 2, DUE)
    clock.advance(days=(DUE - rt.today()).days)

    assert run_all(rt)

    messages = rt.session.scalars(sa.select(OutboxMessage)).all()
    assert [(m.topic, m.state) for m in messages] == [("receipt", "delivered")] * 2
    mails = list((rt.settings.data_dir / "mail").glob("*.eml"))
    assert len(mails) == 2
    assert "Receipt" in mails[0].read_text()


def test_a_job_that_fails_is_noted_and_the_others_go_on(rt):
    def broken(_rt):
        raise OSError("disk full")

    assert run_job(rt, Job("broken", broken)) is False
    assert run_all(rt)
    note = rt.session.get_one(JobRun, "broken")
    assert "disk full" in note.error


def test_a_report_with_counts_by_reason_is_noted(rt):
    def closes(_rt):
        return CloseReport(["cyc_1"], Decided(3, Counter({"no_stock": 2})))

    assert run_job(rt, Job("closes", closes))
    note = rt.session.get_one(JobRun, "closes")
    assert note.report == {"boxes": {"locked": 3, "held": {"no_stock": 2}}}


def test_every_topic_of_the_outbox_has_its_words(rt):
    from storefront.mails import TOPICS

    used = {"sign_in", "order_confirmed", "receipt", "payment_failed", "payment_confirm"}
    used |= {"cancel_confirmed", "plan_changed", "ended", "box_shipped", "staff_link"}
    used |= {"box_replaced", "batch_file", "box_returned", "box_waits", "box_made"}
    used |= {"box_lost", "not_delivered_there"}
    used |= {"surplus_refunded", "refunded", "referral_credit", "price_change"}
    used |= {"extra_charge", "transfer_due", "transfer_overdue", "trial_ends", "resume_soon"}
    used |= {"gift_last_box", "gift_over", "payment_waits"}
    used |= {"first_charge", "payment_link", "payment_last_warning", "payment_given_up"}
    used |= {"debit_notice", "card_renewed", "card_gone", "card_ends"}
    used |= {"dispute_opened", "dispute_won"}
    used |= {"box_soon", "box_added", "box_not_added", "box_renumbered"}
    used |= {"choose_soon", "choice_replaced", "gift_ordered", "gift_received", "gift_reminder"}
    used |= {"gift_waits", "choice_gone", "ship_day_moved"}
    used |= {"gift_unclaimed", "gift_claimed", "box_short", "place_free", "waiting_joined"}
    used |= {"late_change", "accounts_merged", "account_erased", "declaration_received"}
    used |= {"withdrawal_due"}
    used |= {"inquiry_received", "inquiry_answered", "order_later"}
    used |= {"two_step_changed", "new_email", "email_changed"}
    assert used == set(TOPICS)
