"""The list of subscribers as a file for whoever may download names and addresses."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from flask import Blueprint, Response, abort, request, send_file

from storefront.adapters.tables import csv_chunks
from storefront.adapters.workbooks import xlsx_chunks
from storefront.blueprints.admin.base import may, who
from storefront.blueprints.admin.subscriber_filters import file_filters, read_filters
from storefront.blueprints.context import runtime
from storefront.database import reading
from storefront.domain import permissions
from storefront.domain.carriers.layout import MIMETYPES
from storefront.domain.exports import safe_cell
from storefront.queries.subscriber_files import COLUMNS, subscriber_rows
from storefront.queries.subscribers import Filters
from storefront.security import register_policy, staff
from storefront.services.subscriber_files import note_download

register_policy({"admin.subscribers_file": staff(permissions.EXPORTS_DOWNLOAD)})

_KINDS = ("csv", "xlsx")


def add_subscriber_files(bp: Blueprint) -> None:
    """Add the download to the admin's blueprint. A POST, for it is written into the log."""
    bp.add_url_rule("/subscribers/file", "subscribers_file", subscribers_file, methods=["POST"])


def subscribers_file() -> Response:
    """Hand out the list as it is narrowed by the address."""
    rt, kind = runtime(), request.form.get("kind", "csv")
    if not may(permissions.SUBSCRIBERS_VIEW):
        abort(403)
    if kind not in _KINDS:
        abort(404)
    filters = read_filters()
    note_download(rt, who(), kind, _noted(filters))
    with reading():
        whole = _whole(_chunks(filters, kind))
        rt.session.rollback()
    name = f"subscribers-{rt.today().isoformat()}.{kind}"
    answer = send_file(whole, mimetype=MIMETYPES[kind], as_attachment=True, download_name=name)
    # By it a browser notices a download that broke off.
    answer.content_length = os.fstat(whole.fileno()).st_size
    return answer


def _noted(filters: Filters) -> dict[str, str]:
    """Return what the log keeps of the filters: no words searched for, they name people."""
    found: dict[str, str] = file_filters(filters)
    return {**found, "q": "…"} if "q" in found else found


def _chunks(filters: Filters, kind: str) -> Iterator[bytes]:
    rt = runtime()
    rows = subscriber_rows(rt.session, filters, rt.moment().zone)
    if kind == "xlsx":
        # Every cell of a workbook is text, so none runs.
        return xlsx_chunks(COLUMNS, rows)
    guarded = ([safe_cell(cell) for cell in row] for row in rows)
    return csv_chunks(COLUMNS, guarded, is_marked=True)


def _whole(chunks: Iterable[bytes]) -> BinaryIO:
    """Return the file on disk, without a name: whole before its first byte is sent."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        for chunk in chunks:
            file.write(chunk)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file
