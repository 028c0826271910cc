"""What customers of the simulation do, each through the service that its page calls.

An action answers what it did in a word, or None when there was nothing to do. A refusal
(``DomainError``) is an answer as well; anything else that is raised is a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

import sqlalchemy as sa

from storefront.demo.people import OneMore, Shopper
from storefront.demo.shopping import bank_of, order, replace_card, tokens_of
from storefront.domain.addons import Cadence
from storefront.domain.changes import Wish
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import ENDED
from storefront.models import Addon, BoxCycle, Invoice, Plan, Price, Subscription
from storefront.operations.consents import Given
from storefront.operations.offers import read_questions
from storefront.runtime import Runtime
from storefront.services.addons import AddonWish, quote_addon, save_addon
from storefront.services.addresses import PostalAddress, change_address
from storefront.services.answers import CostsOther, change_answers
from storefront.services.cancellations import cancel, undo_cancel
from storefront.services.changes import change, quote_change, withdraw
from storefront.services.dates import move_date, quote_dates, send_now
from storefront.services.methods import pay_now
from storefront.services.pauses import drop_pause, pause, quote_pause, resume
from storefront.services.skips import skip_box, undo_skip

#: Card by how often it is brought; 0408 is charged without ever answering.
CARDS = ("4242",) * 8 + ("9995", "0341", "0408", "3220")
COUNTRIES = (("DE", "07743", "Jena"), ("AT", "1010", "Wien"), ("FR", "75002", "Paris"))
#: Behaviours of the bank for the next charges of somebody.
TROUBLE = (
    {"status": "declined", "decline": "soft", "reason": "insufficient_funds"},
    {"status": "declined", "decline": "hard", "reason": "stolen_card"},
    {"status": "pending", "reason": "bank_debit"},
    {"is_lost": True},
)


@dataclass(slots=True)
class Person:
    """Somebody of the simulation; without ``customer_id`` until an order went through."""

    number: int
    customer_id: int | None = None

    @property
    def email(self) -> str:
        return f"person{self.number}@example.org"


@dataclass(frozen=True, slots=True)
class World:
    """What an action may look at and draw from."""

    rt: Runtime
    rng: Random
    plans: tuple[tuple[str, tuple[str, int]], ...]
    codes: tuple[str, ...]


Action = Callable[[World, Person], str | None]


def subscribe(world: World, person: Person) -> str | None:
    """Order one to three boxes at once, sometimes with a code, sometimes with a bad card."""
    rng = world.rng
    country, postcode, city = rng.choice(COUNTRIES)
    plan, interval = rng.choice(world.plans)
    further = [rng.choice(world.plans) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
    shopper = Shopper(
        name=f"Person {person.number}",
        email=person.email,
        address={
            "name": f"Person {person.number}",
            "street": "Lindenweg 4",
            "postcode": postcode,
            "city": city,
            "country": country,
        },
        plan=plan,
        interval=interval,
        options=_answers(world, plan),
        more=tuple(OneMore(code, often, _answers(world, code)) for code, often in further),
        card=rng.choice(CARDS),
        source={},
        code=rng.choice(world.codes) if rng.random() < 0.3 else "",
        abandons=rng.random() < 0.05,
        returns=rng.random() < 0.7,
    )
    found = order(world.rt, shopper)
    if found is None:
        return "left"
    person.customer_id = found.customer_id
    return f"has {plan} and {len(further)} more" if further else f"has {plan}"


def _answers(world: World, plan: str) -> dict[str, str]:
    """Answer the questions about the box of a plan."""
    key = world.rt.session.scalar(sa.select(Plan.id).where(Plan.code == plan))
    questions = read_questions(world.rt.session, key or 0, "EUR")
    world.rt.session.rollback()
    return {one.code: world.rng.choice(one.choices).code for one in questions}


def skip(world: World, person: Person) -> str | None:
    """Skip one of the next cycles."""
    sub, cycle = _subscription(world, person), _cycle(world)
    if sub is None or cycle is None:
        return None
    skip_box(world.rt, sub.customer_id, sub.public_id, cycle)
    return "skipped"


def unskip(world: World, person: Person) -> str | None:
    sub, cycle = _subscription(world, person), _cycle(world)
    if sub is None or cycle is None:
        return None
    undo_skip(world.rt, sub.customer_id, sub.public_id, cycle)
    return "took a skip back"


def leave(world: World, person: Person) -> str | None:
    sub = _subscription(world, person)
    if sub is None:
        return None
    cancel(world.rt, sub.customer_id, sub.public_id)
    return "cancelled"


def stay(world: World, person: Person) -> str | None:
    sub = _subscription(world, person)
    if sub is None or sub.cancel_on is None:
        return None
    undo_cancel(world.rt, sub.customer_id, sub.public_id)
    return "stayed"


def move_plan(world: World, person: Person) -> str | None:
    """Change to another price, today or later, at times more of it, or by an old quote."""
    sub, rng = _subscription(world, person), world.rng
    if sub is None:
        return None
    price = rng.choice(_prices(world))
    more = rng.randint(1, 3) if rng.random() < 0.2 else None
    return _change(world, sub, Wish(price, more, when=rng.choice(("now", "now", "boundary"))))


def take_more(world: World, person: Person) -> str | None:
    """Take more or fewer of the same plan, now or with the next payment."""
    sub = _subscription(world, person)
    if sub is None:
        return None
    price = world.rt.session.scalar(sa.select(Price.public_id).where(Price.id == sub.price_id))
    world.rt.session.rollback()
    when = world.rng.choice(("now", "boundary"))
    return _change(world, sub, Wish(str(price), world.rng.randint(1, 4), when=when))


def choose(world: World, person: Person) -> str | None:
    """Answer the questions about the box anew."""
    sub = _subscription(world, person)
    if sub is None:
        return None
    price = world.rt.session.scalar(sa.select(Price.public_id).where(Price.id == sub.price_id))
    questions = read_questions(world.rt.session, sub.plan_id, "EUR")
    world.rt.session.rollback()
    if not questions:
        return None
    chosen = {one.code: world.rng.choice(one.choices).code for one in questions}
    try:
        saved = change_answers(world.rt, sub.customer_id, sub.public_id, chosen)
    except CostsOther:
        return _change(world, sub, Wish(str(price), options=chosen))
    return "saved" if saved.is_new else "same"


def _prices(world: World) -> list[str]:
    refs = world.rt.session.scalars(
        sa.select(Price.public_id).where(Price.retired_at.is_(None)).order_by(Price.id)
    ).all()
    world.rt.session.rollback()
    return list(refs)


def _change(world: World, sub: Subscription, wish: Wish) -> str:
    """See what it costs and do it, at times by what was shown on another day."""
    quoted = quote_change(world.rt, sub.customer_id, sub.public_id, wish)
    shown = "of another day" if world.rng.random() < 0.1 else quoted.quote_hash
    agreed = Given("I agree.", "sim-1", "192.0.2.1", "UA")
    done = change(world.rt, sub.customer_id, sub.public_id, wish, shown, agreed)
    return f"{quoted.how} {done.outcome}"


def stay_on_plan(world: World, person: Person) -> str | None:
    sub = _subscription(world, person)
    if sub is None:
        return None
    withdraw(world.rt, sub.customer_id, sub.public_id)
    return "withdrew"


def take_a_break(world: World, person: Person) -> str | None:
    """Pause for some boxes or until further notice, at times with the paid boxes held back."""
    sub = _subscription(world, person)
    if sub is None:
        return None
    ends = quote_pause(world.rt, sub.customer_id, sub.public_id).ends
    until = world.rng.choice((*ends, None))
    hold = until is not None and world.rng.random() < 0.3
    pause(world.rt, sub.customer_id, sub.public_id, until, hold_boxes=hold)
    return f"pauses until {until}"


def no_break(world: World, person: Person) -> str | None:
    sub = _subscription(world, person)
    if sub is None:
        return None
    return "does not pause" if drop_pause(world.rt, sub.customer_id, sub.public_id) else None


def come_back(world: World, person: Person) -> str | None:
    sub = _subscription(world, person)
    if sub is None:
        return None
    today = world.rng.random() < 0.5
    return f"back on {resume(world.rt, sub.customer_id, sub.public_id, today=today)}"


def hurry(world: World, person: Person) -> str | None:
    """Have the next box sent now."""
    sub = _subscription(world, person)
    if sub is None:
        return None
    send_now(world.rt, sub.customer_id, sub.public_id)
    return "sent now"


def other_day(world: World, person: Person) -> str | None:
    """Have the next payment on any day between the first and the last possible."""
    sub = _subscription(world, person)
    if sub is None:
        return None
    found = quote_dates(world.rt, sub.customer_id, sub.public_id)
    days = max(0, (found.last - found.first).days)
    day = found.first + timedelta(days=world.rng.randint(0, days))
    move_date(world.rt, sub.customer_id, sub.public_id, day)
    return f"pays on {day}"


def bring_card(world: World, person: Person) -> str | None:
    if person.customer_id is None:
        return None
    replace_card(world.rt, person.customer_id, world.rng.choice(("4242", "4242", "9995")))
    return "another card"


def pay(world: World, person: Person) -> str | None:
    """Pay what is open."""
    owed = world.rt.session.scalars(
        sa.select(Invoice.public_id).where(
            Invoice.payer_id == person.customer_id, Invoice.state == InvoiceState.OPEN
        )
    ).first()
    world.rt.session.rollback()
    if owed is None or person.customer_id is None:
        return None
    return pay_now(world.rt, person.customer_id, owed).value


def move_house(world: World, person: Person) -> str | None:
    """Have the boxes sent to another address, at times in another country."""
    sub = _subscription(world, person)
    if sub is None:
        return None
    country, postcode, city = world.rng.choice(COUNTRIES)
    typed = PostalAddress("Person", "Am Markt 1", postcode, city, country)
    change_address(world.rt, sub.customer_id, sub.public_id, typed)
    return f"moved to {country}"


def have_trouble(world: World, person: Person) -> str | None:
    """Have the bank do something else with this person's next charges."""
    if person.customer_id is None:
        return None
    token = tokens_of(world.rt, [person.customer_id]).get(person.customer_id)
    if token is None:
        return None
    bank_of(world.rt).script(token, [world.rng.choice(TROUBLE)] * world.rng.randint(1, 4))
    return "has trouble at the bank"


def add_to_box(world: World, person: Person) -> str | None:
    """Put something beside the boxes, take more of it or take it off."""
    sub = _subscription(world, person)
    refs = world.rt.session.scalars(sa.select(Addon.public_id).order_by(Addon.id)).all()
    world.rt.session.rollback()
    if sub is None or not refs:
        return None
    rng, owner = world.rng, sub.customer_id
    cadence = rng.choice((Cadence.ONCE, Cadence.EVERY))
    wish = AddonWish(rng.choice(refs), rng.choice((0, 1, 1, 2, 3)), cadence)
    shown = quote_addon(world.rt, owner, sub.public_id, wish).quote_hash
    agreed = Given("I agree.", "sim-1", "192.0.2.1", "UA")
    save_addon(world.rt, owner, sub.public_id, wish, shown, agreed)
    return f"has {wish.quantity} more {cadence}"


#: Every action with how often it is drawn.
ACTIONS: tuple[tuple[Action, int], ...] = (
    (subscribe, 4),
    (skip, 12),
    (unskip, 6),
    (leave, 4),
    (stay, 4),
    (move_plan, 8),
    (take_more, 5),
    (choose, 4),
    (stay_on_plan, 2),
    (add_to_box, 8),
    (take_a_break, 8),
    (no_break, 2),
    (come_back, 8),
    (hurry, 10),
    (other_day, 5),
    (bring_card, 6),
    (pay, 6),
    (move_house, 4),
    (have_trouble, 8),
)


def _subscription(world: World, person: Person) -> Subscription | None:
    """Return one of the person's subscriptions, mostly a running one."""
    if person.customer_id is None:
        return None
    statement = sa.select(Subscription.__table__).where(
        Subscription.customer_id == person.customer_id
    )
    if world.rng.random() < 0.95:
        statement = statement.where(Subscription.state.not_in(ENDED))
    rows = world.rt.session.execute(statement.order_by(Subscription.id)).all()
    world.rt.session.rollback()
    return world.rng.choice(rows) if rows else None


def _cycle(world: World) -> str | None:
    """Return a cycle that is open now or soon."""
    today = world.rt.today()
    refs = world.rt.session.scalars(
        sa.select(BoxCycle.public_id)
        .where(BoxCycle.cutoff_on >= today - timedelta(days=2))
        .order_by(BoxCycle.cutoff_on)
        .limit(4)
    ).all()
    world.rt.session.rollback()
    return world.rng.choice(refs) if refs else None


def twin(person: Person) -> Person:
    """Return the same person in a second tab."""
    return replace(person)
