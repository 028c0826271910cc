"""Take messages of shipping providers and apply them; each is stored before anything is done.

Source: docs/decisions/0178-shipping-providers.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.domain.gateways import WebhookError
from storefront.domain.tracking_rows import Status, TrackingRow
from storefront.operations import parcel_events as events
from storefront.operations.keys import AnyRow
from storefront.operations.provider_parcels import box_of
from storefront.parcels import By, TrackingReport, take_rows
from storefront.runtime import Runtime

log = logging.getLogger(__name__)

#: Messages claimed in one transaction of the worker.
BATCH = 50


@dataclass(frozen=True, slots=True)
class Message:
    """What became of a message at the door; ``reason`` says why it was refused."""

    is_new: bool = False
    reason: str = ""


@dataclass(slots=True)
class MessageReport:
    """Messages by what became of them."""

    applied: int = 0
    orphans: int = 0
    failed: int = 0
    waiting: int = 0


def receive(
    rt: Runtime, name: str, headers: Mapping[str, str], params: Mapping[str, str], raw: bytes
) -> Message:
    """Check a message, store it and apply it. Raises ``LookupError`` for no such provider.

    Database errors until it is stored are the caller's: it shall be sent again. What goes wrong
    afterwards the worker does again.
    """
    provider = rt.shipping_providers[name]
    try:
        message = provider.parse_message(headers, params, raw)
    except WebhookError as error:
        return Message(reason=str(error.args[0]) if error.args else "unreadable")
    except RecursionError:
        return Message(reason="unreadable")

    def write() -> int | None:
        key = events.store(rt.session, name, message, rt.moment())
        rt.session.commit()
        return key

    key = retrying(rt.session, write, attempts=1)
    failpoint("parcel.after_stored")
    if key is None:
        return Message()
    try:
        _work(rt, key, MessageReport())
    except Exception:
        log.exception("message %s of %s is left to the worker", message.id, name)
        rt.session.rollback()
    return Message(is_new=True)


def apply_due(rt: Runtime, limit: int = 1000) -> MessageReport:
    """Apply what waits, oldest first; each at most once at a time, however many workers run."""
    report, done = MessageReport(), 0
    while done < limit:
        keys = retrying(rt.session, lambda: _take(rt))
        if not keys:
            break
        for key in keys:
            _work(rt, key, report)
        done += len(keys)
    return report


def delete_old(rt: Runtime, most: int = 10_000) -> int:
    """Delete messages from before the last 90 days that are done with; returns how many."""

    def batch() -> int:
        count = events.delete_old(rt.session, rt.moment(), 500)
        rt.session.commit()
        return count

    deleted = 0
    while deleted < most and (count := retrying(rt.session, batch)):
        deleted += count
    return deleted


def _take(rt: Runtime) -> list[int]:
    keys = events.take(rt.session, rt.moment(), BATCH)
    rt.session.commit()
    return keys


def _work(rt: Runtime, key: int, report: MessageReport) -> None:
    """Apply one claimed message and note how it went."""
    with reading():
        row = events.read(rt.session, key)
        box = _box(rt, row) if row is not None else ""
        rt.session.rollback()
    if row is None:
        return
    state, error = _apply(rt, row, box)

    def note() -> None:
        events.settle(rt.session, row, state, error, rt.moment())
        rt.session.commit()

    retrying(rt.session, note)
    name = {"applied": "applied", "orphan": "orphans", "failed": "failed"}.get(state, "waiting")
    setattr(report, name, getattr(report, name) + 1)


def _box(rt: Runtime, row: AnyRow) -> str:
    """Return the box that a message names, by ours or by the provider's name of it."""
    if row.reference.startswith("box_"):
        return str(row.reference)
    if row.provider_reference:
        return box_of(rt.session, row.provider, row.provider_reference)
    return ""


def _apply(rt: Runtime, row: AnyRow, box: str) -> tuple[str, str]:
    """Return what a message became and why: the same rules as for a row of a file."""
    if not row.says:
        return "applied", ""
    if not box and not row.number:
        return "orphan", "unknown"
    said = TrackingRow(1, box, row.number, row.carrier, Status(row.says), row.occurred_at)
    report = TrackingReport(1, is_dry_run=False)
    take_rows(rt, [said], report, By.machine(row.provider))
    failpoint("parcel.after_applied")
    if not report.issues:
        return "applied", ""
    code = report.issues[0].code
    # A number may come with a file, a batch may close: it is tried again for a day.
    return ("failed" if code == "other_number" else "waiting"), code
