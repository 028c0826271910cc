"""A recipient goes on with a card of their own, or the gift ends quietly."""

import re
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from storefront.domain.dates import DateNotMovable
from storefront.domain.lifecycle import PeriodKind, SubscriptionState
from storefront.mails import compose
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    ChargeAttempt,
    Checkout,
    Consent,
    CycleGroup,
    FulfilmentBatch,
    Gift,
    Invoice,
    Movement,
    OutboxMessage,
    Price,
    Product,
    ShopSettings,
    Subscription,
    SubscriptionPeriod,
)
from storefront.operations.checkout import Market, change_checkout, find_checkout
from storefront.operations.choices import avoided_by
from storefront.operations.order_items import BoxWish
from storefront.queries.continuing import going_on
from storefront.queries.gifts import received
from storefront.queries.invariants import broken
from storefront.queries.own_data import everything_of
from storefront.services.baskets import Changed
from storefront.services.choices import answer_allergies
from storefront.services.continuing import NoGift, NotOnSale, WentOn, go_on, run_continuing
from storefront.services.cycles import close_cycles, plan_ahead
from storefront.services.dates import move_date, quote_dates
from storefront.services.finishing import Outcome, expire_checkouts, finish_checkout
from storefront.services.fulfilment import export_all, exportable_cycles, ship_batch
from storefront.services.gifts import claim, run_gifts
from storefront.services.reminders import remind
from storefront.services.renewals import run_renewals
from storefront.services.skips import skip_box, undo_skip
from storefront.testing.factories import (
    make_customer,
    make_group,
    make_plan,
    make_price,
    make_recipe,
    make_variant,
    price_of,
)
from storefront.testing.repeating import repeatable
from tests.support.baskets import add
from tests.support.gifts import (
    HOME,
    begin_gift,
    code_of,
    give_back,
    make_gift,
    order_of,
    pay_order,
    wish_for,
)
from tests.support.paying import waiting_mails

ADA = "ada@example.org"


@repeatable
def claimed_gift(rt):
    """Ada has claimed three monthly boxes, of March to May, that Ben paid 69.00 for."""
    plan = make_plan(rt, group=make_group(rt), amount_minor=6900, unit="month", count=3)
    make_price(rt, plan, amount_minor=2500, sign_up_fee_minor=500)
    make_recipe(rt, plan, variants=[make_variant(rt, on_hand=100)])
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    claim(rt, code_of(rt, gift), ADA, HOME)
    return gift


@pytest.fixture
def gift(rt):
    return claimed_gift(rt)


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def whose(rt, gift):
    row = rt.session.execute(
        sa.select(Subscription.customer_id, Subscription.public_id).where(
            Subscription.id == gift.subscription_id
        )
    ).one()
    rt.session.rollback()
    return tuple(row)


def monthly(rt):
    found = rt.session.scalars(sa.select(Price.public_id).where(Price.amount_minor == 2500)).one()
    rt.session.rollback()
    return found


def begin(rt, gift):
    return go_on(rt, *whose(rt, gift), monthly(rt))


def own_of(rt, key):
    """Return what an order made, detached."""
    found = rt.session.scalars(
        sa.select(Subscription)
        .join(Checkout, Checkout.id == Subscription.checkout_id)
        .where(Checkout.public_id == key)
    ).one()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def went_on(rt, gift):
    key = begin(rt, gift)
    assert pay_order(rt, key).outcome is Outcome.DONE
    return own_of(rt, key)


def offered(rt, gift):
    found = going_on(rt.session, *whose(rt, gift), Market.of(rt.shop), rt.moment())
    rt.session.rollback()
    return found


def charged(rt):
    """Return who was charged what on which day, the first first."""
    rows = rt.session.execute(
        sa.select(Invoice.payer_id, ChargeAttempt.amount_minor, Invoice.due_on)
        .join(Invoice, Invoice.id == ChargeAttempt.invoice_id)
        .order_by(ChargeAttempt.id)
    ).all()
    rt.session.rollback()
    return [tuple(row) for row in rows]


def to_day(clock, rt, day):
    clock.advance(days=(day - rt.today()).days)


def live(rt, clock, until):
    """Let the worker's days pass, one a week, up to a day."""
    while rt.today() < until:
        clock.advance(days=min(7, (until - rt.today()).days))
        plan_ahead(rt)
        run_gifts(rt)
        run_continuing(rt)
        run_renewals(rt)
        close_cycles(rt)


def written(rt, topic):
    rows = rt.session.scalars(sa.select(OutboxMessage.topic).where(OutboxMessage.topic == topic))
    count = len(rows.all())
    rt.session.rollback()
    return count


def cycle_of(rt, month):
    found = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == month)).one()
    rt.session.rollback()
    return found


def coming_cycles(rt, gift):
    """Return the rounds of the gift's boxes, the first first."""
    found = rt.session.scalars(
        sa.select(BoxCycle.public_id)
        .join(Box, Box.cycle_id == BoxCycle.id)
        .where(Box.subscription_id == gift.subscription_id)
        .order_by(BoxCycle.ship_from)
    ).all()
    rt.session.rollback()
    return found


def next_of(rt, own):
    """Return the day on which a subscription is charged next."""
    now = rt.session.get(Subscription, own.id)
    day = max(now.next_on, now.anchor_on)
    rt.session.rollback()
    return day


def group_of(rt):
    found = rt.session.scalars(sa.select(CycleGroup)).one()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def test_the_offer_names_price_tax_and_the_day_of_the_first_payment(rt, gift):
    found = offered(rt, gift)

    assert [(one.interval.count, one.amount.minor) for one in found.prices] == [
        (3, 6900),
        (1, 2500),
    ]
    each = found.prices[1]
    assert each.charge_on == date(2027, 6, 12)
    assert [(rate, tax.minor) for rate, tax in each.taxes] == [(19, 399)]
    assert found.is_ahead
    assert not found.is_begun


def test_a_recipient_goes_on_with_their_own_card_behind_the_last_box(rt, gift, clock):
    ada, ref = whose(rt, gift)
    rt.session.execute(sa.update(Product).values(allergens=["nuts"]))
    assert answer_allergies(rt, ada, ref, ["nuts"])
    own = went_on(rt, gift)

    # What she does not tolerate holds for her own boxes as well.
    assert avoided_by(rt.session, [own.id]) == {own.id: {"nuts"}}
    rt.session.rollback()
    assert charged(rt) == [(gift.giver_id, 6900, date(2027, 3, 2))]
    assert (own.customer_id, own.payer_id, own.is_gift) == (ada, None, False)
    assert (own.state, own.anchor_on) == (SubscriptionState.ACTIVE, date(2027, 6, 12))
    assert own.payment_method_id is not None
    consents = rt.session.scalars(sa.select(Consent.customer_id).order_by(Consent.id)).all()
    assert consents == [gift.giver_id, ada]
    rt.session.rollback()
    live(rt, clock, date(2027, 6, 12))
    assert charged(rt)[1:] == [(ada, 2500, date(2027, 6, 12))]
    months = rt.session.execute(
        sa.select(BoxCycle.key, Box.subscription_id)
        .join(Box, Box.cycle_id == BoxCycle.id)
        .order_by(BoxCycle.key)
    ).all()
    rt.session.rollback()
    first, later = gift.subscription_id, own.id
    assert [tuple(row) for row in months] == [
        ("2027-03", first),
        ("2027-04", first),
        ("2027-05", first),
        ("2027-06", later),
    ]


def test_whoever_goes_on_is_a_new_subscriber_from_the_first_payment(rt, gift, clock):
    own = went_on(rt, gift)
    assert rt.session.scalars(sa.select(Movement)).all() == []
    kinds = rt.session.scalars(
        sa.select(SubscriptionPeriod.kind).where(SubscriptionPeriod.subscription_id == own.id)
    ).all()
    assert kinds == [PeriodKind.FREE]
    rt.session.rollback()

    live(rt, clock, date(2027, 6, 12))

    moved = rt.session.scalars(sa.select(Movement)).one()
    assert (moved.subscription_id, moved.kind, moved.cohort) == (own.id, "new", "2027-06")
    rt.session.rollback()


def test_nothing_is_charged_and_nothing_renews_without_consent(rt, gift, clock):
    begin(rt, gift)
    ada, ref = whose(rt, gift)
    live(rt, clock, date(2027, 8, 1))
    expire_checkouts(rt)

    assert charged(rt) == [(gift.giver_id, 6900, date(2027, 3, 2))]
    subscriptions = rt.session.scalars(sa.select(Subscription)).all()
    assert [one.state for one in subscriptions] == [SubscriptionState.CANCELED]
    rt.session.rollback()
    assert received(rt.session, ada, ref).followed_by == ""
    rt.session.rollback()
    # One mail before the last box, one behind it, and none that speaks of an ended subscription.
    assert [written(rt, topic) for topic in ("gift_last_box", "gift_over", "ended")] == [1, 1, 0]


def test_one_click_twice_is_one_order_and_one_subscription(rt, gift):
    keys = {begin(rt, gift), begin(rt, gift)}
    (key,) = keys
    assert offered(rt, gift).is_begun
    pay_order(rt, key)
    finish_checkout(rt, key)

    with pytest.raises(WentOn) as caught:
        begin(rt, gift)

    own = own_of(rt, key)
    assert caught.value.params["subscription"] == own.public_id
    count = rt.session.scalar(sa.select(sa.func.count()).select_from(Subscription))
    rt.session.rollback()
    assert count == 2
    assert offered(rt, gift).subscription == own.public_id


def test_an_order_that_ran_out_makes_room_for_another(rt, gift, clock):
    old = begin(rt, gift)
    clock.advance(hours=3)
    expire_checkouts(rt)

    new = begin(rt, gift)

    assert new != old
    assert order_of(rt, new).quote.items[0].opening.kind is PeriodKind.FREE
    assert pay_order(rt, new).outcome is Outcome.DONE
    assert rt.session.scalars(sa.select(Gift.checkout_id)).one() == own_of(rt, new).checkout_id
    rt.session.rollback()


def test_the_order_costs_nothing_today_and_gives_no_trial(rt, gift):
    rt.session.execute(sa.text("UPDATE plan SET trial_days = 14"))
    rt.session.commit()

    (item,) = order_of(rt, begin(rt, gift)).quote.items

    assert item.due_today.minor == 0
    assert (item.opening.kind, item.renewal_on) == (PeriodKind.FREE, date(2027, 6, 12))
    assert [(one.on, one.amount.minor) for one in item.charges] == [(date(2027, 6, 12), 2500)]
    assert item.cycle.ship_from > date(2027, 6, 12)


def test_a_box_of_the_gift_that_moves_takes_the_first_payment_with_it(rt, gift):
    ada, ref = whose(rt, gift)
    own = went_on(rt, gift)
    run_continuing(rt)
    assert "follows_on" not in everything_of(rt.session, gift.giver_id)["gifts_given"][0]
    rt.session.rollback()

    skip_box(rt, ada, ref, cycle_of(rt, "2027-04"))

    # The last box of the gift is June's now.
    moved = rt.session.get(Subscription, own.id)
    assert (moved.anchor_on, moved.next_on) == (date(2027, 7, 12), date(2027, 7, 12))
    rt.session.rollback()
    assert run_continuing(rt).moved == 0
    undo_skip(rt, ada, ref, cycle_of(rt, "2027-04"))
    assert rt.session.get(Subscription, own.id).anchor_on == date(2027, 6, 12)
    rt.session.rollback()


def test_a_refund_to_the_giver_moves_no_payment_of_who_went_on(rt, gift, clock):
    own = went_on(rt, gift)
    skip_box(rt, *whose(rt, gift), cycle_of(rt, "2027-04"))
    live(rt, clock, date(2027, 3, 16))
    (march,) = exportable_cycles(rt)
    export_all(rt, march)
    ship_batch(rt, rt.session.scalars(sa.select(FulfilmentBatch.public_id)).one())

    give_back(rt, gift)

    # The boxes of May and June, which were still to come, are taken back.
    states = rt.session.scalars(
        sa.select(Box.state).where(Box.subscription_id == gift.subscription_id).order_by(Box.id)
    ).all()
    rt.session.rollback()
    assert sorted(states) == ["canceled", "canceled", "shipped"]
    assert run_continuing(rt).moved == 0
    assert next_of(rt, own) == date(2027, 7, 12)
    live(rt, clock, date(2027, 7, 11))
    assert len(charged(rt)) == 1
    live(rt, clock, date(2027, 7, 12))
    assert charged(rt)[1:] == [(own.customer_id, 2500, date(2027, 7, 12))]


def test_what_follows_a_gift_is_one_box_by_itself(rt, gift):
    key = begin(rt, gift)
    other = make_plan(rt, name="Chest", group=group_of(rt))
    given_away = begin_gift(rt, other, wish_for(rt.today()))

    assert add(rt, key, other) is Changed.APART
    assert add(rt, given_away, other) is Changed.APART

    assert len(order_of(rt, key).items) == 1
    assert pay_order(rt, key).outcome is Outcome.DONE
    assert own_of(rt, key).plan_id != other.id


def test_all_that_follows_one_gift_moves_with_it(rt, gift):
    """Orders begun before no other box could be added to them may have made two."""
    key = begin(rt, gift)
    row = find_checkout(rt.session, key)
    more = BoxWish(row.plan_id, row.price_id, 1, row.options, ref="2")
    change_checkout(rt.session, row, {"more": [more.kept()]})
    rt.session.commit()
    pay_order(rt, key)

    skip_box(rt, *whose(rt, gift), cycle_of(rt, "2027-04"))

    days = rt.session.scalars(
        sa.select(Subscription.next_on).where(Subscription.id != gift.subscription_id)
    ).all()
    rt.session.rollback()
    assert days == [date(2027, 7, 12), date(2027, 7, 12)]


@repeatable
def packed_weekly(rt):
    """As ``claimed_gift``, packed on every Thursday: each subscriber has days of their own."""
    weekly = make_group(
        rt,
        unit="week",
        charge_day=None,
        anchor_on=date(2027, 2, 25),
        cycles=60,
        cutoff_days=1,
        lock_days=0,
        ship_days=1,
    )
    plan = make_plan(rt, group=weekly, amount_minor=6900, unit="month", count=3)
    make_price(rt, plan, amount_minor=2500)
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    claim(rt, code_of(rt, gift), ADA, HOME)
    return gift, went_on(rt, gift)


def test_a_later_day_that_the_recipient_chose_stands_whatever_the_gift_does(rt):
    gift, own = packed_weekly(rt)
    whom = whose(rt, gift)
    assert next_of(rt, own) == date(2027, 6, 2)
    move_date(rt, own.customer_id, own.public_id, date(2027, 6, 20))

    # Before the first run behind the order, too.
    assert run_continuing(rt).moved == 0
    assert next_of(rt, own) == date(2027, 6, 20)

    april = coming_cycles(rt, gift)[1]
    skip_box(rt, *whom, april)
    assert next_of(rt, own) == date(2027, 7, 2)
    undo_skip(rt, *whom, april)
    run_continuing(rt)
    assert next_of(rt, own) >= date(2027, 6, 20)


def test_no_day_before_the_one_agreed_on_is_offered_to_who_went_on(rt):
    _gift, own = packed_weekly(rt)

    found = quote_dates(rt, own.customer_id, own.public_id)

    assert (found.refused, found.charge_on, found.first) == ("", *[date(2027, 6, 2)] * 2)
    assert found.last > found.first
    with pytest.raises(DateNotMovable, match="out_of_reach"):
        move_date(rt, own.customer_id, own.public_id, date(2027, 5, 20))


def test_an_order_begun_before_the_gift_was_held_is_finished_on_its_own_terms(rt, gift):
    key = begin(rt, gift)
    rt.session.execute(
        sa.update(Subscription)
        .where(Subscription.id == gift.subscription_id)
        .values(held_at=rt.now(), hold_reason="dispute")
    )
    rt.session.commit()

    assert pay_order(rt, key).outcome is Outcome.DONE

    own = own_of(rt, key)
    assert (own.held_at, own.anchor_on) == (None, date(2027, 6, 12))
    assert len(charged(rt)) == 1


def test_a_gift_that_is_over_is_gone_on_from_at_once(rt, gift, clock):
    live(rt, clock, date(2027, 7, 1))
    found = offered(rt, gift)
    assert (found.is_ahead, found.prices[1].charge_on) == (False, date(2027, 7, 1))

    went_on(rt, gift)

    assert charged(rt)[1][1:] == (2500, date(2027, 7, 1))


def test_who_goes_on_hears_before_the_first_payment_and_of_no_end(rt, gift, clock):
    went_on(rt, gift)
    live(rt, clock, date(2027, 6, 10))
    remind(rt)
    [mail] = [compose(rt, one) for one in waiting_mails(rt, "first_charge")]
    live(rt, clock, date(2027, 6, 30))

    assert (mail.to, "€25.00" in mail.text) == (ADA, True)
    assert [written(rt, topic) for topic in ("gift_last_box", "gift_over", "ended")] == [0, 0, 0]


def test_the_mail_before_the_last_box_says_what_going_on_would_cost(rt, gift, clock):
    last = rt.session.scalars(sa.select(BoxCycle.ship_from).where(BoxCycle.key == "2027-05")).one()
    rt.session.rollback()
    to_day(clock, rt, last - timedelta(days=15))
    assert run_continuing(rt).offered == 0
    clock.advance(days=1)

    assert [run_continuing(rt).offered for _ in range(2)] == [1, 0]

    [mail] = [compose(rt, one) for one in waiting_mails(rt, "gift_last_box")]
    assert mail.to == ADA
    assert "€25.00 a month, incl. 19% VAT (€3.99)" in mail.text
    assert "12 June" in mail.text
    assert f"/account/subscriptions/{whose(rt, gift)[1]}/go-on" in mail.text


def test_only_its_recipient_goes_on_and_only_at_a_price_on_sale(rt, gift):
    _ada, ref = whose(rt, gift)
    eve = make_customer(rt, email="eve@example.org")
    other = price_of(rt, make_plan(rt, name="Chest")).public_id
    with pytest.raises(NoGift):
        go_on(rt, eve.id, ref, monthly(rt))
    with pytest.raises(NoGift):
        go_on(rt, gift.giver_id, ref, monthly(rt))
    with pytest.raises(NotOnSale):
        go_on(rt, *whose(rt, gift), other)
    rt.session.execute(
        sa.update(Subscription)
        .where(Subscription.id == gift.subscription_id)
        .values(held_at=rt.now(), hold_reason="dispute")
    )
    rt.session.commit()

    with pytest.raises(NoGift):
        begin(rt, gift)
    assert offered(rt, gift) is None


def test_where_tax_is_not_called_vat_the_offer_does_not_call_it_so(rt, gift, clock):
    shop = {"seller_country": "US", "countries": ["DE", "US"]}
    rt.session.execute(sa.update(ShopSettings).values(**shop))
    rt.session.execute(sa.update(Address).values(country="US", region="New York"))
    rt.session.commit()
    rt.forget_shop()
    last = rt.session.scalars(sa.select(BoxCycle.ship_from).where(BoxCycle.key == "2027-05")).one()
    rt.session.rollback()
    to_day(clock, rt, last - timedelta(days=14))
    assert run_continuing(rt).offered == 1

    [mail] = [compose(rt, one) for one in waiting_mails(rt, "gift_last_box")]
    assert offered(rt, gift).country == "US"
    assert re.search(r"€[\d.]+ a month, incl\. [\d.]+% tax \(€[\d.]+\)", mail.text)
    assert "VAT" not in mail.text
