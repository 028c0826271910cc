"""Which stored method pays: changed for all, for one, as a backup, taken away; trap 3.9 whole."""

from collections.abc import Iterator
from datetime import date
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import (
    ChargeAttempt,
    Customer,
    DunningCase,
    GatewaySetup,
    Invoice,
    PaymentMethod,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import reserve
from storefront.paying import MethodRefused, NotFound, Paid, pay_now
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.dunning import chase_due
from storefront.services.method_changes import (
    MethodBusy,
    MethodNeeded,
    forget_methods,
    remove_method,
    set_backup,
    use_for_one,
)
from storefront.services.methods import begin_card, finish_card, set_default
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.gateways import offer, second_gateway

DUE = date(2027, 3, 12)


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Iterator[None]:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def wallets(rt: Runtime) -> Iterator[DemoGateway]:
    with second_gateway(rt) as gateway:
        yield gateway


def rows(rt: Runtime, model: type) -> list[sa.Row]:  # type: ignore[type-arg]
    table = table_of(model)
    found = rt.session.execute(sa.select(table).order_by(table.c.id)).all()
    rt.session.rollback()
    return list(found)


def renewed(rt: Runtime, clock: FrozenClock, card: str) -> SimpleNamespace:
    """Return a subscriber whose renewal of 12 March was tried with ``card``."""
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 1, DUE, card=card)
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)
    [subscription] = rows(rt, Subscription)
    owner = rt.session.get(Customer, subscription.customer_id)
    rt.session.expunge(owner)
    rt.session.rollback()
    return SimpleNamespace(sub=subscription, owner=owner, old=rows(rt, PaymentMethod)[0], plan=plan)


def another(rt: Runtime, owner: Customer, card: str = "4242", **values: object) -> PaymentMethod:
    return make.make_method(rt, owner, card=card, **{"is_default": False, **values})


def asked_with(rt: Runtime) -> list[int | None]:
    """Return the method of each try, in order, without the first period's."""
    return [row.payment_method_id for row in rows(rt, ChargeAttempt)][1:]


def newest(rt: Runtime) -> sa.Row:  # type: ignore[type-arg]
    return rows(rt, ChargeAttempt)[-1]


# ------------------------------------------------------------------ trap 3.9: replaced in time


def by_default(rt: Runtime, who: SimpleNamespace, new: PaymentMethod) -> None:
    assert set_default(rt, who.owner.id, new.public_id)


def for_one(rt: Runtime, who: SimpleNamespace, new: PaymentMethod) -> None:
    assert use_for_one(rt, who.owner.id, who.sub.public_id, new.public_id)


@pytest.mark.parametrize("change", [by_default, for_one])
@pytest.mark.parametrize("card", ["0341", "0069"])
def test_another_method_pays_what_is_open_with_one_try(rt, clock, demo_gateway, change, card):
    who = renewed(rt, clock, card)
    new = another(rt, who.owner)
    before = len(rows(rt, ChargeAttempt))

    change(rt, who, new)
    for _run in range(3):
        chase_due(rt)

    tries = rows(rt, ChargeAttempt)
    assert len(tries) == before + 1
    assert (tries[-1].payment_method_id, tries[-1].state) == (new.id, AttemptState.SUCCEEDED)
    assert rows(rt, Subscription)[0].state == SubscriptionState.ACTIVE
    clock.advance(days=10)
    chase_due(rt)
    assert len(rows(rt, ChargeAttempt)) == before + 1


def test_with_a_pay_now_button_the_method_of_then_is_tried_once(rt, clock, demo_gateway):
    who = renewed(rt, clock, "0341")
    new = another(rt, who.owner)
    invoice = rows(rt, Invoice)[-1].public_id
    before = len(rows(rt, ChargeAttempt))

    assert pay_now(rt, who.owner.id, invoice, new.public_id) is Paid.DONE
    chase_due(rt)

    assert [row.payment_method_id for row in rows(rt, ChargeAttempt)[before:]] == [new.id]


@pytest.mark.parametrize("change", [by_default, for_one])
def test_a_charge_that_waits_for_the_bank_is_stopped_before_the_new_one_is_sent(
    rt, clock, demo_gateway, monkeypatch, change
):
    who = renewed(rt, clock, "3220")
    waiting = newest(rt)
    assert waiting.state == AttemptState.ACTION_REQUIRED
    new = another(rt, who.owner)
    said = []
    for name in ("cancel", "charge"):
        real = getattr(demo_gateway, name)

        def spy(*values, real=real, name=name):
            said.append(name)
            return real(*values)

        monkeypatch.setattr(demo_gateway, name, spy)

    change(rt, who, new)
    chase_due(rt)

    assert said == ["cancel", "charge"]
    first, second = rows(rt, ChargeAttempt)[-2:]
    assert (first.id, first.state) == (waiting.id, AttemptState.ABANDONED)
    assert (second.payment_method_id, second.state) == (new.id, AttemptState.SUCCEEDED)
    assert demo_gateway.bank.double_charges() == []


def test_what_the_gateway_did_not_stop_is_left_to_wait(rt, clock, demo_gateway):
    who = renewed(rt, clock, "3220")
    new = another(rt, who.owner)
    before = len(rows(rt, ChargeAttempt))
    demo_gateway.bank.set_fault("down")

    assert set_default(rt, who.owner.id, new.public_id)
    chase_due(rt)

    assert len(rows(rt, ChargeAttempt)) == before
    assert newest(rt).state == AttemptState.ACTION_REQUIRED


def test_a_try_that_is_planned_asks_the_new_method_instead(rt, clock, demo_gateway):
    who = renewed(rt, clock, "0341")
    new = another(rt, who.owner)
    table = table_of(ChargeAttempt)
    last = newest(rt)
    planned = {
        **last._mapping,
        "id": reserve(rt.session, ChargeAttempt, 1)[0],
        "public_id": "pay_planned",
        "number": last.number + 1,
        "state": AttemptState.PLANNED,
        "decline_kind": None,
        "sent_at": None,
        "answered_at": None,
    }
    rt.session.execute(sa.insert(table).values(planned))
    rt.session.commit()

    set_default(rt, who.owner.id, new.public_id)
    chase_due(rt)

    old, tried = rows(rt, ChargeAttempt)[-2:]
    assert (old.state, old.reason) == (AttemptState.ABANDONED, "method_replaced")
    assert (tried.payment_method_id, tried.state) == (new.id, AttemptState.SUCCEEDED)
    assert demo_gateway.bank.executed_count("pay_planned") == 0


def test_a_second_click_tries_nothing_more(rt, clock, demo_gateway):
    who = renewed(rt, clock, "0341")
    new = another(rt, who.owner, "0341")
    set_default(rt, who.owner.id, new.public_id)
    chase_due(rt)
    before = len(rows(rt, ChargeAttempt))

    assert not set_default(rt, who.owner.id, new.public_id)
    assert not use_for_one(rt, who.owner.id, who.sub.public_id, new.public_id)
    chase_due(rt)

    assert len(rows(rt, ChargeAttempt)) == before
    assert rows(rt, DunningCase)[0].state == "open"


# ------------------------------------------------------------------------ one for one alone


def two_plans(rt: Runtime) -> SimpleNamespace:
    owner = make.make_customer(rt)
    first = make.make_subscription(rt, plan=make.make_plan(rt, code="pot"), customer=owner)
    second = make.make_subscription(rt, plan=make.make_plan(rt, code="cup"), customer=owner)
    for sub in (first, second):
        rt.session.execute(
            sa.update(Subscription).where(Subscription.id == sub.id).values(payment_method_id=None)
        )
    rt.session.commit()
    return SimpleNamespace(owner=owner, first=first, second=second)


def paying(rt: Runtime) -> list[int | None]:
    return [row.payment_method_id for row in rows(rt, Subscription)]


def test_a_method_for_one_subscription_leaves_the_other_with_the_default(rt):
    who = two_plans(rt)
    own = another(rt, who.owner)

    assert use_for_one(rt, who.owner.id, who.second.public_id, own.public_id)

    assert paying(rt) == [None, own.id]


def test_a_new_default_leaves_a_method_chosen_for_one_alone(rt):
    who = two_plans(rt)
    own, new = another(rt, who.owner), another(rt, who.owner)
    use_for_one(rt, who.owner.id, who.second.public_id, own.public_id)

    set_default(rt, who.owner.id, new.public_id)

    assert paying(rt) == [None, own.id]


def test_a_new_default_takes_over_from_a_method_that_was_refused(rt):
    who = two_plans(rt)
    own, new = another(rt, who.owner), another(rt, who.owner)
    use_for_one(rt, who.owner.id, who.second.public_id, own.public_id)
    rt.session.execute(
        sa.update(PaymentMethod).where(PaymentMethod.id == own.id).values(refused_at=rt.now())
    )
    rt.session.commit()

    set_default(rt, who.owner.id, new.public_id)

    assert paying(rt) == [None, None]


def test_choosing_the_default_for_one_lets_it_follow_again(rt):
    who = two_plans(rt)
    own = another(rt, who.owner)
    use_for_one(rt, who.owner.id, who.second.public_id, own.public_id)
    default = next(row for row in rows(rt, PaymentMethod) if row.is_default)

    assert use_for_one(rt, who.owner.id, who.second.public_id, default.public_id)

    assert paying(rt) == [None, None]


def test_a_method_added_for_one_pays_for_that_one_alone(rt, wallets):
    who = two_plans(rt)
    page = begin_card(
        rt,
        who.owner.id,
        "http://localhost/back",
        gateway="wallets",
        subscription=who.second.public_id,
    )
    wallets.bank.choose(page.rpartition("/")[2], "4242")

    added = finish_card(rt, who.owner.id, rows(rt, GatewaySetup)[-1].public_id, {})

    new = rows(rt, PaymentMethod)[-1]
    assert added.is_for_one
    assert (new.gateway, new.is_default) == ("wallets", False)
    assert paying(rt) == [None, new.id]


def test_a_gateway_that_is_closed_takes_no_new_method_and_goes_on_charging(
    rt, clock, demo_gateway, wallets
):
    who = renewed(rt, clock, "0341")
    offer(rt, "wallets")

    with pytest.raises(NotFound):
        begin_card(rt, who.owner.id, "http://localhost/back", gateway="demo")

    before = len(rows(rt, ChargeAttempt))
    clock.advance(days=4)
    chase_due(rt)
    assert newest(rt).gateway == "demo"
    assert len(rows(rt, ChargeAttempt)) == before + 1


# ----------------------------------------------------------------------------------- backup


def test_there_is_one_backup_and_it_is_never_the_default(rt):
    who = two_plans(rt)
    one, two = another(rt, who.owner), another(rt, who.owner)
    default = next(row for row in rows(rt, PaymentMethod) if row.is_default)

    assert set_backup(rt, who.owner.id, one.public_id)
    assert set_backup(rt, who.owner.id, two.public_id)
    assert not set_backup(rt, who.owner.id, two.public_id)
    assert not set_backup(rt, who.owner.id, default.public_id)
    assert [row.id for row in rows(rt, PaymentMethod) if row.is_backup] == [two.id]

    assert set_backup(rt, who.owner.id, two.public_id, wanted=False)
    assert not [row for row in rows(rt, PaymentMethod) if row.is_backup]


def test_a_refused_method_is_no_backup(rt):
    who = two_plans(rt)
    gone = another(rt, who.owner, refused_at=rt.now())

    with pytest.raises(MethodRefused):
        set_backup(rt, who.owner.id, gone.public_id)


# ----------------------------------------------------------------------------------- removed


def test_the_only_method_of_a_running_subscription_stays(rt):
    who = two_plans(rt)
    [only] = rows(rt, PaymentMethod)[:1]
    for extra in rows(rt, PaymentMethod)[1:]:
        remove_method(rt, who.owner.id, extra.public_id)

    with pytest.raises(MethodNeeded):
        remove_method(rt, who.owner.id, only.public_id)

    rt.session.rollback()
    assert rows(rt, PaymentMethod)[0].detached_at is None


def test_a_method_that_nothing_needs_is_forgotten_at_its_gateway(rt, demo_gateway):
    owner = make.make_customer(rt)
    method = make.make_method(rt, owner)

    assert remove_method(rt, owner.id, method.public_id).instead == ""
    assert not demo_gateway.bank.is_gone(method.token)
    assert forget_methods(rt) == {"forgotten": 1, "silent": 0}

    assert demo_gateway.bank.is_gone(method.token)
    assert forget_methods(rt) == {"forgotten": 0, "silent": 0}


def test_a_silent_gateway_is_asked_again_to_forget(rt, clock, demo_gateway):
    owner = make.make_customer(rt)
    method = make.make_method(rt, owner)
    remove_method(rt, owner.id, method.public_id)
    demo_gateway.bank.set_fault("down")

    assert forget_methods(rt) == {"forgotten": 0, "silent": 1}
    demo_gateway.bank.set_fault("down", False)
    assert forget_methods(rt) == {"forgotten": 0, "silent": 0}
    clock.advance(hours=1)

    assert forget_methods(rt) == {"forgotten": 1, "silent": 0}


def test_what_a_removed_default_paid_for_is_paid_by_the_backup(rt):
    who = two_plans(rt)
    backup, new = another(rt, who.owner, is_backup=True), another(rt, who.owner)
    default = next(row for row in rows(rt, PaymentMethod) if row.is_default)

    removed = remove_method(rt, who.owner.id, default.public_id)

    assert removed.instead == backup.public_id
    after = {row.id: (row.is_default, row.is_backup) for row in rows(rt, PaymentMethod)}
    assert (after[backup.id], after[new.id]) == ((True, False), (False, False))
    assert paying(rt) == [None, None]


def test_removing_a_method_tries_only_what_it_was_to_pay(rt, clock, demo_gateway):
    who = renewed(rt, clock, "0341")
    unused = another(rt, who.owner)
    before = len(rows(rt, ChargeAttempt))

    remove_method(rt, who.owner.id, unused.public_id)
    chase_due(rt)
    assert len(rows(rt, ChargeAttempt)) == before

    another(rt, who.owner)
    remove_method(rt, who.owner.id, who.old.public_id)
    chase_due(rt)
    assert len(rows(rt, ChargeAttempt)) == before + 1
    assert newest(rt).state == AttemptState.SUCCEEDED


def test_a_method_whose_charge_has_no_answer_yet_stays(rt, clock, demo_gateway):
    who = renewed(rt, clock, "3220")
    another(rt, who.owner)

    with pytest.raises(MethodBusy):
        remove_method(rt, who.owner.id, who.old.public_id)


def test_methods_of_somebody_else_are_not_there(rt):
    who = two_plans(rt)
    stranger = make.make_customer(rt)
    theirs = make.make_method(rt, stranger)

    for act in (remove_method, set_backup, set_default):
        with pytest.raises(NotFound):
            act(rt, who.owner.id, theirs.public_id)
    with pytest.raises(NotFound):
        use_for_one(rt, stranger.id, who.first.public_id, theirs.public_id)
