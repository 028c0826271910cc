"""The mail that brings the file of a batch to who packs."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.adapters.mail import Attachment
from storefront.domain.carriers.layout import MIMETYPES
from storefront.mail_words import Words, Writer
from storefront.operations.batch_news import BATCH_FILE
from storefront.services.fulfilment import BatchNotFound, batch_file

#: A larger file is named and not attached: many mail servers take no more than this.
MOST_ATTACHED = 10 * (1 << 20)


def _batch_file(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    try:
        path = batch_file(writer.rt, payload["batch"])
    except BatchNotFound:
        return None
    attached: tuple[Attachment, ...] = ()
    more = [_("It holds names and addresses. Delete it when the boxes have left.")]
    if path is None:
        more = [_("The file cannot be made as it was exported. Do not use it; look in the admin.")]
    elif path.stat().st_size > MOST_ATTACHED:
        size = MOST_ATTACHED >> 20
        more = [_("The file is larger than %(mb)s MB and not attached.", mb=size)]
    else:
        kind = MIMETYPES[path.suffix.removeprefix(".")]
        attached = (Attachment(path.name, kind, path.read_bytes()),)
    boxes = int(payload["boxes"])
    return Words(
        _("Batch %(n)s of %(cycle)s", n=payload["number"], cycle=payload["cycle"]),
        ngettext("%(num)s box is ready to pack.", "%(num)s boxes are ready to pack.", boxes),
        _("The file for packing and shipping.") if path else "",
        ((_("Batch"), str(payload["batch"])), (_("SHA-256"), str(payload["sha256"]))),
        (_("Open the cycles"), writer.url("/admin/cycles")),
        tuple(more),
        attachments=attached,
    )


#: Topic of the outbox -> how it is worded.
BATCH_TOPICS: dict[str, Callable[[Writer], Words | None]] = {BATCH_FILE: _batch_file}
