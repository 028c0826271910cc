"""The seals of the ledger, and the nightly look at every invariant."""

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.ledger import JournalKind
from storefront.jobs.selfcheck import check_nightly, check_self
from storefront.models import (
    ChargeAttempt,
    Invoice,
    InvoiceLine,
    LedgerSeal,
    LedgerTransfer,
    SelfCheck,
)
from storefront.operations.ledger import Journal, Transfer, book
from storefront.queries.invariants import INVARIANTS
from storefront.queries.selfcheck import last_check
from storefront.services.seals import seal_days, verify_ledger
from storefront.testing import factories


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


def note(rt, reference, minor=100):
    transfer = Transfer("credits_granted", "customer_credit", minor, "EUR")
    book(rt.session, [Journal(JournalKind.CREDIT_GRANTED, reference, (transfer,))], rt.now())
    rt.session.commit()


def tamper(rt, nth, **values):
    """Change the ``nth`` transfer, or delete it, as somebody with the database's password could."""
    if rt.session.get_bind().dialect.name == "postgresql":
        rt.session.execute(sa.text("ALTER TABLE ledger_transfer DISABLE TRIGGER USER"))
    else:
        for event in ("update", "delete"):
            rt.session.execute(sa.text(f"DROP TRIGGER tr_ledger_transfer_no_{event}"))
    key = rt.session.scalars(sa.select(LedgerTransfer.id).order_by(LedgerTransfer.id)).all()[nth]
    change = sa.update(LedgerTransfer).values(**values) if values else sa.delete(LedgerTransfer)
    rt.session.execute(change.where(LedgerTransfer.id == key))
    guard_again(rt, "ledger_transfer")
    rt.session.commit()


def guard_again(rt, table):
    """Let the triggers of ``table`` work again: other tests use this database of PostgreSQL."""
    if rt.session.get_bind().dialect.name == "postgresql":
        rt.session.execute(sa.text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))


@pytest.fixture
def four_days(rt, clock):
    """Rows on the 2nd, 3rd and 5th of March; all of these days are sealed on the 6th."""
    note(rt, "a")
    clock.advance(days=1)
    note(rt, "b")
    note(rt, "c")
    clock.advance(days=2)
    note(rt, "d")
    clock.advance(days=1)
    assert seal_days(rt) == {"days": 4}


@pytest.mark.usefixtures("four_days")
def test_each_finished_day_is_sealed_once_also_an_empty_one(rt):
    rows = rt.session.execute(
        sa.select(LedgerSeal.day, LedgerSeal.transfers).order_by(LedgerSeal.day)
    ).all()
    rt.session.rollback()
    assert [(row.day.day, row.transfers) for row in rows] == [(2, 1), (3, 2), (4, 0), (5, 1)]
    assert seal_days(rt) == {"days": 0}
    verdict = verify_ledger(rt)
    assert (verdict.is_whole, verdict.days, verdict.transfers) == (True, 4, 4)


@pytest.mark.usefixtures("four_days")
@pytest.mark.parametrize(("values", "reason"), [({"amount_minor": 1}, "changed"), ({}, "count")])
def test_the_first_day_that_was_tampered_with_is_named(rt, values, reason):
    tamper(rt, 1, **values)
    verdict = verify_ledger(rt)
    assert (verdict.broken_on, verdict.reason, verdict.days) == (date(2027, 3, 3), reason, 1)


@pytest.mark.usefixtures("four_days")
def test_a_forged_seal_breaks_the_day_after(rt):
    """Hashing the changed day anew is not enough: every later seal stands on the old one."""
    from storefront.operations.seals import START, hash_day

    tamper(rt, 0, amount_minor=1)
    forged = hash_day(rt.session, date(2027, 3, 2), START).content_hash
    rt.session.execute(
        sa.update(LedgerSeal).where(LedgerSeal.day == date(2027, 3, 2)).values(content_hash=forged)
    )
    rt.session.commit()
    assert verify_ledger(rt).broken_on == date(2027, 3, 3)


@pytest.mark.usefixtures("four_days")
def test_a_missing_seal_is_named(rt):
    rt.session.execute(sa.delete(LedgerSeal).where(LedgerSeal.day == date(2027, 3, 4)))
    rt.session.commit()
    verdict = verify_ledger(rt)
    assert (verdict.broken_on, verdict.reason) == (date(2027, 3, 4), "missing_seal")


def test_a_kill_before_the_seal_leaves_the_day_for_the_next_run(rt, clock):
    note(rt, "a")
    clock.advance(days=1)
    arm("seal.before_insert:raise")
    with pytest.raises(FailpointReached):
        seal_days(rt)
    rt.session.rollback()
    arm("")
    assert seal_days(rt) == {"days": 1}
    assert verify_ledger(rt).is_whole


def test_a_day_that_got_another_row_meanwhile_is_hashed_anew(rt, clock, monkeypatch):
    from storefront.services import seals as service

    note(rt, "a")
    late = rt.now()
    clock.advance(days=1)

    def interfere(_name):
        monkeypatch.undo()
        transfer = Transfer("credits_granted", "customer_credit", 1, "EUR")
        book(rt.session, [Journal(JournalKind.CREDIT_GRANTED, "late", (transfer,))], late)
        rt.session.commit()

    monkeypatch.setattr(service, "failpoint", interfere)
    assert seal_days(rt) == {"days": 0}
    assert seal_days(rt) == {"days": 1}
    assert (verify_ledger(rt).is_whole, verify_ledger(rt).transfers) == (True, 2)


def test_a_day_waits_an_hour_before_it_is_sealed(rt, clock):
    note(rt, "a")
    clock.advance(hours=15, minutes=30)
    assert seal_days(rt) == {"days": 0}
    clock.advance(minutes=30)
    assert seal_days(rt) == {"days": 1}


def test_a_whole_shop_checks_itself_once_a_night(rt, clock):
    factories.make_subscription(rt)
    assert check_nightly(rt) == {"asked": len(INVARIANTS) + 2, "broken": 0}
    asked_at = last_check(rt.session).at
    clock.advance(hours=3)
    assert check_nightly(rt)["broken"] == 0
    assert last_check(rt.session).at == asked_at
    clock.advance(days=1)
    assert check_nightly(rt)["broken"] == 0
    found = last_check(rt.session)
    assert (found.is_whole, found.broken, found.at) == (True, {}, rt.now())


def test_what_is_broken_is_named_with_an_example(rt):
    factories.make_subscription(rt)
    attempt = rt.session.scalar(sa.select(ChargeAttempt.public_id))
    rt.session.execute(sa.update(ChargeAttempt).values(settles=False))
    rt.session.commit()
    checked = check_self(rt)
    assert (checked.is_whole, checked.broken["M1"]) == (False, [attempt])
    assert last_check(rt.session).broken == checked.broken


def test_an_invoice_rewritten_around_its_trigger_is_named(rt):
    factories.make_subscription(rt)
    assert check_self(rt).is_whole
    if rt.session.get_bind().dialect.name == "postgresql":
        rt.session.execute(sa.text("ALTER TABLE invoice_line DISABLE TRIGGER USER"))
    else:
        rt.session.execute(sa.text("DROP TRIGGER tr_invoice_line_frozen"))
    rt.session.execute(sa.update(InvoiceLine).values(text="Something else"))
    guard_again(rt, "invoice_line")
    rt.session.commit()
    invoice = rt.session.scalar(sa.select(Invoice.public_id))
    assert check_self(rt).broken == {"I1": [invoice]}


def test_old_answers_are_dropped(rt, clock):
    check_self(rt)
    clock.advance(days=100)
    check_self(rt)
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(SelfCheck)) == 1
