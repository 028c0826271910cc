"""What shoppers do to each other, and to themselves, in one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from storefront.models import (
    ChargeAttempt,
    Checkout,
    Coupon,
    Invoice,
    Plan,
    ProductVariant,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.places import free_stock, places_of
from storefront.services.coupons import use_code
from storefront.services.places import set_places
from storefront.testing import factories
from tests.rigs._scene import Scene
from tests.rigs._shop import clock_of
from tests.rigs._stories import message
from tests.rigs._tabs import Page, Tab
from tests.support.orders import begin

#: How often one button is pressed and one page loaded anew; shoppers who want one last thing.
CLICKS, RELOADS, RIVALS = 10, 4, 4
ADDRESS = {
    "name": "Ada Lovelace",
    "country": "DE",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
}


@dataclass
class Shopper:
    """Somebody on the last page of an order, with what it showed."""

    key: str
    tab: Tab
    shown: Page

    def look(self) -> Page:
        self.shown = self.tab.get(f"/checkout/{self.key}/pay")
        return self.shown

    def order(self) -> Page:
        """Press the button below what was shown."""
        quote = self.shown.field("quote")
        return self.tab.again().post(f"/checkout/{self.key}/pay", quote=quote, consent="y")

    def finish(self) -> Page:
        return self.tab.again().post(f"/checkout/{self.key}/finish")

    def shows(self, minor: int) -> bool:
        return f"{minor // 100}.{minor % 100:02}" in self.shown.text


def _shopper(scene: Scene, who: str, plan: Plan, code: str = "") -> Shopper:
    key = begin(scene.rt, plan, email=f"{who}@example.org")
    if code:
        use_code(scene.rt, key, code)
    tab = scene.tab()
    return Shopper(key, tab, tab.get(f"/checkout/{key}/pay"))


def _is_away(page: Page) -> bool:
    return "/x/" in page.location


def _pays(scene: Scene, one: Shopper, page: Page, card: str = "4242") -> Page:
    """Take ``card`` on the bank's page and come back."""
    scene.bank.choose(page.location.rpartition("/")[2], card)
    return one.finish()


def _charged(scene: Scene, key: str) -> list[int]:
    """Return what an order was charged here; the end of the run asks the bank as well."""
    attempt, invoice, checkout = table_of(ChargeAttempt), table_of(Invoice), table_of(Checkout)
    found = scene.rt.session.scalars(
        sa.select(attempt.c.amount_minor)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .join(checkout, checkout.c.id == invoice.c.checkout_id)
        .where(checkout.c.public_id == key, attempt.c.state.in_(("succeeded", "unknown")))
    ).all()
    scene.rt.session.rollback()
    return list(found)


def order(scene: Scene, number: int) -> None:
    """C-01, W-09, C-03: ten clicks on order, ten on the way back, the page loaded anew."""
    tab, email = scene.tab(), f"racer{number}@example.org"
    tab.get(f"/checkout?plan={scene.plan.code}")
    begun = tab.post("/checkout", plan=scene.plan.code)
    key = begun.location.split("/")[2]
    tab.post(f"/checkout/{key}/delivery", email=email, **ADDRESS)
    shopper = Shopper(key, tab, tab.get(f"/checkout/{key}/pay"))
    clicks = scene.press("C-01", [shopper.order] * CLICKS)
    away = {page.location for page in clicks if _is_away(page)}
    if not away:
        scene.fault("C-01", f"no click of {key} led to the bank: {clicks[0]}")
        return
    for place in away:
        scene.bank.choose(place.rpartition("/")[2], scene.rng.choice(("4242", "0408")))
    quote = scene.one(sa.select(Checkout.quote).where(Checkout.public_id == key))
    raw = message(scene.rt, f"evt_order_{number}", "setup", str(quote.get("setup", "")))
    scene.press("W-09", [shopper.finish] * CLICKS + [partial(scene.hear, raw)] * 2)
    again = partial(tab.again().get, f"/checkout/{key}/confirmation")
    scene.press("C-03", [again] * RELOADS + [shopper.finish] * RELOADS)
    charged = len(_charged(scene, key))
    for name in ("C-01", "W-09", "C-03"):
        scene.ended(name, f"charged {charged} times" if charged != 1 else "charged once")
    if charged != 1:
        scene.fault("C-01", f"{key} was charged {charged} times")


def two_tabs(scene: Scene, number: int) -> None:
    """C-02: two tabs add another box each, then one orders while the other goes on choosing."""
    shopper = _shopper(scene, f"tabs{number}", scene.plan)
    key, tab = shopper.key, shopper.tab
    adds = []
    for plan in (scene.plan, scene.late):
        own = tab.again()
        form = own.get(f"/checkout/{key}/add?plan={plan.code}")
        version = form.field("version")
        adds.append(partial(own.post, f"/checkout/{key}/add", plan=plan.code, version=version))
    scene.press("C-02", adds)
    version = tab.get(f"/checkout/{key}/add?plan={scene.plan.code}").field("version")
    shopper.look()
    more = partial(tab.again().post, f"/checkout/{key}/add", plan=scene.plan.code, version=version)
    page = scene.press("C-02", [shopper.order, more])[0]
    asked = 0
    for _ in range(4):
        if _is_away(page) and "/confirmation" in _pays(scene, shopper, page).location:
            break
        asked += 1
        shopper.look()
        page = shopper.order()
    charged = _charged(scene, key)
    boxes = _boxes_of(scene, key)
    if len(charged) != 1 or not shopper.shows(charged[0]):
        scene.fault("C-02", f"{key} with {boxes} boxes was charged {charged}, not what it showed")
    if boxes not in (2, 3):
        scene.fault("C-02", f"{key} has {boxes} boxes")
    scene.ended("C-02", "shown again, then charged that" if asked else "charged what it showed")


def _boxes_of(scene: Scene, key: str) -> int:
    checkout = scene.key_of(Checkout, key)
    return scene.many(Subscription, Subscription.checkout_id == checkout)


def last_use(scene: Scene, number: int) -> None:
    """C-05, C-04: a card is refused and the code comes back, twice; then all want its one use."""
    code = f"LAST{scene.outcome.seed}X{number}"
    coupon = factories.make_code(scene.rt, code, max_uses=1).id
    full, off = 3100, 2790
    people = [_shopper(scene, f"code{number}-{n}", scene.late, code) for n in range(RIVALS)]
    for one in people:
        if not one.shows(off):
            scene.fault("C-04", f"{one.key} did not show the discount")
    _lose_once(scene, people[0], coupon)
    pages = scene.press("C-04", [one.order for one in people[1:]])
    winners = [(one, page) for one, page in zip(people[1:], pages, strict=True) if _is_away(page)]
    if len(winners) != 1:
        scene.fault("C-04", f"{len(winners)} of {len(pages)} may pay with the last use")
        return
    winner, page = winners[0]
    loser = next(one for one in people[1:] if one is not winner)
    loser.look()
    if not loser.shows(full) or loser.shows(off):
        scene.fault("C-04", f"{loser.key} still shows the discount")
    other = loser.order()
    done = scene.press(
        "C-04",
        [partial(_pays, scene, winner, page), partial(_pays, scene, loser, other)],
    )
    paid = [_charged(scene, one.key) for one in (winner, loser)]
    used = scene.one(sa.select(Coupon.used).where(Coupon.id == coupon))
    if paid != [[off], [full]] or used != 1:
        said = [page.location for page in done]
        scene.fault("C-04", f"charged {paid}, {used} uses: {said}")
    scene.ended("C-04", f"1 of {len(pages)} got it, another paid all")


def _lose_once(scene: Scene, one: Shopper, coupon: int) -> None:
    page = one.order()
    if not _is_away(page):
        scene.fault("C-05", f"{one.key} could not order: {page.status}")
        return
    scene.bank.choose(page.location.rpartition("/")[2], "9995")
    drop = partial(one.tab.again().post, f"/checkout/{one.key}/code/remove")
    scene.press("C-05", [one.finish, one.finish])
    scene.press("C-05", [drop, drop])
    # Who orders without it lets its use go, whoever of the two clicks is first.
    one.look()
    scene.press("C-05", [one.order, one.order])
    used = scene.one(sa.select(Coupon.used).where(Coupon.id == coupon))
    if used != 0 or _charged(scene, one.key):
        scene.fault("C-05", f"{used} uses are kept by a refused payment")
    scene.ended("C-05", "given back once")


def last_place(scene: Scene, number: int) -> None:
    """C-06: all want the last place of a plan, or the last piece; at times it is left again."""
    _leave_one(scene, by_stock=bool(number % 2))
    people = [_shopper(scene, f"last{number}-{n}", scene.wanted) for n in range(RIVALS)]
    first = _one_may_pay(scene, people)
    if first is None:
        return
    winner, page = first
    how = "1 piece" if number % 2 else "1 place"
    if number % 3 == 2:
        # Nobody comes back within the half hour, so it is another's.
        clock_of(scene.rt).move_to(scene.rt.now() + timedelta(minutes=31))
        others = [one for one in people if one is not winner]
        for one in others:
            one.look()
        second = _one_may_pay(scene, others)
        if second is None:
            return
        late = _pays(scene, *second).location, _pays(scene, winner, page).location
        if "/confirmation" not in late[0] or "sold_out" not in late[1]:
            scene.fault("C-06", f"let go and taken by another: {late}")
        how += ", let go first"
    elif "/confirmation" not in _pays(scene, winner, page).location:
        scene.fault("C-06", f"{winner.key} held the last one and could not pay")
    charged = [len(_charged(scene, one.key)) for one in people]
    if sorted(charged) != [0] * (RIVALS - 1) + [1]:
        scene.fault("C-06", f"charged for the last one: {charged}")
    scene.ended("C-06", f"{how}: 1 of {RIVALS} got it")


def _leave_one(scene: Scene, *, by_stock: bool) -> None:
    """Let there be just one place, or just one tin that is not promised to anybody."""
    rt, plan = scene.rt, scene.wanted
    if by_stock:
        free = free_stock(rt.session, [scene.tin.id], rt.moment())[scene.tin.id].free
        table = table_of(ProductVariant)
        rt.session.execute(
            sa.update(table)
            .where(table.c.id == scene.tin.id)
            .values(on_hand=table.c.on_hand + 1 - free)
        )
        rt.session.commit()
        set_places(rt, scene.staff, plan.public_id, None, sells_by_stock=True)
        return
    set_places(rt, scene.staff, plan.public_id, 1, sells_by_stock=False)
    taken = places_of(rt.session, [plan.id], rt.moment())[plan.id].taken
    rt.session.rollback()
    set_places(rt, scene.staff, plan.public_id, taken + 1, sells_by_stock=False)


def _one_may_pay(scene: Scene, people: Sequence[Shopper]) -> tuple[Shopper, Page] | None:
    pages = scene.press("C-06", [one.order for one in people])
    found = [(one, page) for one, page in zip(people, pages, strict=True) if _is_away(page)]
    if len(found) == 1:
        return found[0]
    said = [(page.status, page.location) for page in pages]
    scene.fault("C-06", f"{len(found)} of {len(people)} may pay for the last one: {said}")
    return None


def price_set(scene: Scene, number: int) -> None:
    """C-12: staff set another price while somebody orders, and again while they pay."""
    shopper, desk = _shopper(scene, f"price{number}", scene.plan), scene.desk()
    desk.get(f"/admin/plans/{scene.plan.public_id}")
    page = scene.press("C-12", [shopper.order, partial(_reprice, scene, desk, 2700)])[0]
    again = not _is_away(page)
    if again:
        shopper.look()
        page = shopper.order()
    scene.bank.choose(page.location.rpartition("/")[2], "4242")
    finish = partial(_reprice, scene, desk, 2600)
    back = scene.press("C-12", [shopper.finish, shopper.finish, finish])[0]
    charged = _charged(scene, shopper.key)
    if len(charged) > 1 or (charged and not shopper.shows(charged[0])):
        scene.fault("C-12", f"{shopper.key} was charged {charged}, not what it showed")
    if not charged:
        shopper.look()
        if not shopper.shows(2600):
            scene.fault("C-12", f"{shopper.key} was not charged and shows no new price: {back}")
    scene.ended("C-12", "charged what it showed" if charged else "shown the new price instead")


def _reprice(scene: Scene, desk: Tab, minor: int) -> Page:
    """Set the price of a month as the page of the plan does."""
    path = f"/admin/plans/{scene.plan.public_id}"
    shown = desk.again()
    sold = next(ref for ref in _sold(shown.get(path)) if ref != scene.other.public_id)
    values = {"for": sold, f"{sold}-amount": f"{minor // 100}.{minor % 100:02}"}
    return shown.post(f"{path}/prices", **values)


def _sold(page: Page) -> list[str]:
    """Return the prices on sale that a plan's page has a form for."""
    return [part.split('"')[0] for part in page.text.split('name="for" value="')[1:]]
