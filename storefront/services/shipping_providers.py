"""Hand boxes to shipping providers and ask where parcels are, each box once.

Source: docs/decisions/0178-shipping-providers.md.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from storefront import charges
from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.domain.boxes import BoxState
from storefront.domain.parcels import ParcelNews, ShippingProvider, TakeAnswer, Taking
from storefront.domain.tracking_rows import TrackingRow
from storefront.models import Installation
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations import provider_parcels as work
from storefront.operations.audit import Who
from storefront.operations.customs import filled_in
from storefront.operations.keys import AnyRow
from storefront.operations.shared_parcels import beside
from storefront.parcels import By, TrackingReport, take_rows
from storefront.runtime import Runtime

log = logging.getLogger(__name__)

#: Boxes claimed in one transaction: they are handed over before their lease ends.
BATCH = 10
#: A run begins nothing new after so many seconds, and leaves a provider alone after so many
#: boxes without an answer.
SECONDS, MOST_SILENT = 120, 3
#: Nothing is sent so many seconds after its claim: a call may last as long as the lease has left.
SENT_WITHIN = 200
_OVER = (BoxState.DELIVERED, BoxState.RETURNED, BoxState.LOST, BoxState.CANCELED)
#: Surely nothing of a request with this answer was done.
_NOT_SENT = ("not_sent", "unauthorized", "wrong_certificate", "rate_limited")


@dataclass(slots=True)
class ProviderReport:
    """Boxes by what became of them in one run."""

    taken: int = 0
    refused: int = 0
    unknown: int = 0
    #: Left for later, because the provider does not answer.
    waiting: int = 0
    asked: int = 0
    over: int = 0


class _Silences:
    """Which providers are left alone for the rest of a run, and why."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self.closed: dict[str, TakeAnswer] = {}

    def note(self, provider: str, answer: TakeAnswer) -> None:
        """Count an answer that is none."""
        self._counts[provider] += 1
        if answer.reason in _NOT_SENT or self._counts[provider] >= MOST_SILENT:
            self.closed[provider] = answer


def may_send(rt: Runtime) -> bool:
    """False in a copied shop: one that was confirmed for another site or other accounts."""
    if not charges.is_unlocked(rt):
        return False
    table = table_of(Installation)
    with reading():
        sites = rt.session.scalars(
            sa.select(table.c.site_url).where(table.c.confirmed_at.is_not(None))
        ).all()
        rt.session.rollback()
    return all(site == rt.settings.base_url for site in sites)


def run_providers(rt: Runtime, limit: int = 300) -> ProviderReport:
    """Hand over what waits and ask about what is due; outside any transaction, one by one.

    Any number of workers may run this. A provider that does not answer gets nothing more in
    this run, and what was not offered to it counts as not tried.
    """
    report, done = ProviderReport(), 0
    if not rt.shipping_providers or not may_send(rt):
        return report
    silences, began = _Silences(), time.monotonic()
    while done < limit and time.monotonic() - began < SECONDS:
        until = time.monotonic() + SENT_WITHIN
        rows = retrying(rt.session, lambda: _take(rt))
        if not rows:
            break
        for row in rows:
            if time.monotonic() > until:
                # The lease gives the others back, and they are looked for first.
                break
            _work(rt, row, until, report, silences)
        done += len(rows)
    return report


def try_again(rt: Runtime, who: Who, batch_ref: str) -> int:
    """Let boxes of a batch that the provider refused be tried anew; returns how many."""

    def write() -> int:
        count = work.plan_again(rt.session, batch_ref, rt.moment())
        if count:
            after = {"boxes": count}
            moment = rt.moment()
            audit.write(
                rt.session, who.id, "boxes.handed_again", batch_ref, {}, after, moment, who.ip
            )
        rt.session.commit()
        return count

    return retrying(rt.session, write)


def _take(rt: Runtime) -> list[AnyRow]:
    rows = work.take(rt.session, rt.moment(), BATCH)
    rt.session.commit()
    return rows


def _work(
    rt: Runtime, row: AnyRow, until: float, report: ProviderReport, silences: _Silences
) -> None:
    provider = rt.shipping_providers.get(row.provider)
    if _is_over(rt, row) or (_left_without(row) and row.state == "planned"):
        _end(rt, row, report)
    elif row.state == "taken":
        _ask(rt, provider, row, report)
    elif provider is None:
        _note(rt, row, TakeAnswer(Taking.UNKNOWN, reason="not_installed"), None)
        report.unknown += 1
    elif row.provider in silences.closed:
        _wait(rt, row, silences.closed[row.provider], report)
    else:
        answer = _hand_over(rt, provider, row, until)
        if answer is None:
            _end(rt, row, report)
            return
        failpoint("provider.after_taken")
        if answer.status is Taking.UNKNOWN:
            silences.note(row.provider, answer)
        _note(rt, row, answer, provider)
        name = answer.status.value
        setattr(report, name, getattr(report, name) + 1)


def _is_over(rt: Runtime, row: AnyRow) -> bool:
    """Whether nothing of a parcel is to come; it goes without a first box that was cancelled."""
    if row.box_state is not BoxState.CANCELED:
        return row.box_state in _OVER
    with reading():
        others = beside(rt.session, [row.box_id])
        rt.session.rollback()
    return not others


def _wait(rt: Runtime, row: AnyRow, answer: TakeAnswer, report: ProviderReport) -> None:
    """Leave a box for later as it was: nobody tried it."""

    def write() -> None:
        work.wait(rt.session, row, _said(answer), rt.moment(), answer.retry_after)
        rt.session.commit()

    retrying(rt.session, write)
    report.waiting += 1


def _left_without(row: AnyRow) -> bool:
    """Whether a box that was to be handed over has left: it is not handed over any more."""
    return row.way == "box" and row.box_state is BoxState.SHIPPED


def _hand_over(
    rt: Runtime, provider: ShippingProvider, row: AnyRow, until: float
) -> TakeAnswer | None:
    """Ask the provider to take a box, with those that leave in its parcel.

    One that may be there already is looked for first. None: the box left by another way, and the
    provider does not have it. Nothing is sent after ``until``, when another worker may look for
    the box.
    """
    with reading():
        others = beside(rt.session, [row.box_id]).get(row.box_id, ())
        own = [] if row.box_state is BoxState.CANCELED else [row.packing or {}]
        every = [*own, *(one.packing for one in others)] or [row.packing or {}]
        every = filled_in(rt.session, every)
        rt.session.rollback()
    order = work.order_of(row, every)
    is_box, can = row.way == "box", provider.capabilities
    if not (can.takes_boxes if is_box else can.follows_numbers):
        # Nothing to hand over: it is followed from the moment it has a number, or only by news.
        return TakeAnswer(Taking.TAKEN)
    try:
        found = provider.find(order) if row.state == "asked" else None
        if found is not None:
            return found
        if is_box and _left_without(row):
            return None
        if time.monotonic() > until:
            return TakeAnswer(Taking.UNKNOWN, reason="timeout")
        return provider.take(order) if is_box else provider.follow(order)
    except Exception:
        log.exception("%s failed on box %s", provider.name, row.box)
        return TakeAnswer(Taking.UNKNOWN, reason="failed")


def _said(answer: TakeAnswer) -> str:
    return answer.reason + (f": {answer.text}" if answer.text else "")


def _note(rt: Runtime, row: AnyRow, answer: TakeAnswer, provider: ShippingProvider | None) -> None:
    said = _said(answer)

    def write() -> None:
        moment = rt.moment()
        if answer.status is Taking.TAKEN:
            ask = _pause(provider) if answer.provider_reference else None
            work.note_taken(rt.session, row, answer.provider_reference, ask, moment)
        elif answer.status is Taking.REFUSED:
            work.note_refused(rt.session, row, said)
        elif answer.reason in _NOT_SENT and row.state == "planned":
            work.not_sent(rt.session, row, said, moment, answer.retry_after)
        else:
            work.put_off(rt.session, row, said, moment, answer.retry_after)
        rt.session.commit()

    retrying(rt.session, write)


def _pause(provider: ShippingProvider | None) -> timedelta | None:
    if provider is None or not provider.capabilities.answers:
        return None
    return timedelta(seconds=max(provider.capabilities.ask_every_seconds, 600))


def _ask(
    rt: Runtime, provider: ShippingProvider | None, row: AnyRow, report: ProviderReport
) -> None:
    """Ask where one parcel is and apply it, until it arrived or 60 days are over."""
    if rt.now() - row.created_at > work.FOLLOWED:
        _end(rt, row, report)
        return
    news = _news(provider, row) if provider is not None else None
    report.asked += 1
    if news is not None and news.state is not None:
        said = TrackingRow(1, row.box, news.number, news.carrier, news.state, news.occurred_at)
        told = TrackingReport(1, is_dry_run=False)
        take_rows(rt, [said], told, By.machine(row.provider))
        for issue in told.issues:
            log.warning("%s about box %s: %s %s", row.provider, row.box, issue.code, issue.value)

    def write() -> None:
        # One whose plugin is gone is asked about again when it is back.
        pause = _pause(provider) if provider is not None else timedelta(days=1)
        work.note_taken(rt.session, row, "", pause, rt.moment())
        rt.session.commit()

    retrying(rt.session, write)


def _news(provider: ShippingProvider, row: AnyRow) -> ParcelNews | None:
    try:
        return provider.ask(row.box, row.provider_reference, row.number)
    except Exception:
        log.exception("%s did not answer about box %s", provider.name, row.box)
        return None


def _end(rt: Runtime, row: AnyRow, report: ProviderReport) -> None:
    def write() -> None:
        work.note_over(rt.session, row)
        rt.session.commit()

    retrying(rt.session, write)
    report.over += 1
