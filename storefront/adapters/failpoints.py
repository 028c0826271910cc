"""Named points where a test may make the process die or fail. They do nothing otherwise.

``STOREFRONT_FAILPOINTS="renewal.after_sent:kill,export.before_rename:raise@3"`` arms two of
them; ``@3`` means at the third visit. Production never arms any (see ``create_app``).
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Literal, cast, get_args

Action = Literal["kill", "raise"]

#: Every point there is, with where it stands; ``reliability.md`` 3.1 numbers the steps.
KNOWN = {
    "renewal.before_claim": "nothing is claimed yet",
    "renewal.after_claim": "the lease is committed, nothing is priced",
    "renewal.before_planned_commit": "periods and invoices are written, not committed",
    "renewal.after_planned": "attempts are planned and committed, none is sent",
    "renewal.before_sent_commit": "a slice is marked sent, not committed",
    "renewal.after_sent": "a slice is sent on disk, the gateway knows nothing",
    "renewal.after_answer": "the gateway has answered, nothing is recorded",
    "renewal.before_record_commit": "results are written, not committed",
    "renewal.after_record": "results are committed, the lease is still held",
    "checkout.after_setup": "the method is stored at the gateway, not with us",
    "checkout.after_sent": "the first charge is sent on disk, the gateway knows nothing",
    "addition.before_commit": "an addition to boxes, its invoice and attempt are not committed",
    "addition.after_sent": "its charge is sent on disk, the gateway knows nothing",
    "change.before_commit": "the change, its invoice and its attempt are written, not committed",
    "change.after_sent": "the charge of a change is sent on disk, the gateway knows nothing",
    "refund.after_sent": "the refund is sent on disk, the gateway knows nothing",
    "refund.after_answer": "the refund is answered, not recorded",
    "outbox.after_send": "the message is handed over, not noted",
    "close.before_commit": "a slice of boxes is decided, not committed",
    "close.after_slice": "a slice of boxes is locked or held, others are not decided",
    "export.after_claim": "some boxes are in the batch, others not yet",
    "export.before_publish": "boxes are batched, no file is there",
    "export.after_publish": "the file is there, the batch is not closed",
    "export.after_close": "the batch is closed, its boxes do not say so yet",
    "choice_reminders.after_slice": "some subscribers are reminded to choose, others not yet",
    "box_notices.after_slice": "some subscribers are told of their next box, others not yet",
    "ship_days.after_slice": "some subscribers are told of another ship day, others not yet",
    "papers.after_publish": "a file of slips or labels is there, its row does not say so",
    "ship.after_slice": "some boxes of a batch are shipped, others not yet",
    "tracking.after_slice": "some rows of a tracking file are done, others not yet",
    "provider.after_taken": "a shipping provider has the box, the row does not say so yet",
    "parcel.after_stored": "a shipping provider's message is stored and not applied",
    "parcel.after_applied": "such a message is applied, its row does not say so yet",
    "earning.before_commit": "months are booked as revenue, not committed",
    "accounting.after_journals": "the journals are written, the other files not yet",
    "accounting.before_publish": "every file is written, none is where it belongs",
    "seal.before_insert": "a day's hash is worked out, not written",
    "webhook.before_commit": "a message is written, not committed",
    "webhook.after_stored": "a message is stored, the gateway has no answer",
    "webhook.after_applied": "a message is applied, the row does not say so yet",
    "dispute.before_commit": "a dispute is booked and held, not committed",
    "settle.after_lookup": "the look-up of an unknown charge is answered, not recorded",
}


class FailpointReached(RuntimeError):
    """Raised at a point armed with ``raise``."""


@dataclass
class _Armed:
    action: Action
    #: The visit that strikes, counted from 1.
    visit: int
    visits: int = 0


_armed: dict[str, _Armed] = {}


def arm(spec: str) -> None:
    """Arm the points of ``spec``, disarming all others; empty disarms all.

    Raises ``ValueError`` for an unknown name or action.
    """
    _armed.clear()
    for part in filter(None, (piece.strip() for piece in spec.split(","))):
        name, _, rest = part.partition(":")
        action, _, visit = rest.partition("@")
        if name not in KNOWN:
            raise ValueError(f"no failpoint is called {name!r}")
        if action not in get_args(Action):
            raise ValueError(f"failpoint {name}: {action!r} is neither kill nor raise")
        _armed[name] = _Armed(cast("Action", action), int(visit or 1))


def failpoint(name: str) -> None:
    """Die or raise here if a test armed ``name``. Raises ``ValueError`` if nobody knows it."""
    if not _armed:
        return
    if name not in KNOWN:
        raise ValueError(f"no failpoint is called {name!r}")
    armed = _armed.get(name)
    if armed is None:
        return
    armed.visits += 1
    if armed.visits != armed.visit:
        return
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise FailpointReached(name)
