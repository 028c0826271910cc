"""Answers with a document, the same for customers and staff."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Response
from flask_babel import get_locale

from storefront import documents
from storefront.queries.documents import Document
from storefront.queries.invoices import history, pill_state
from storefront.runtime import Runtime


def pdf(document: Document) -> Response:
    """Answer with ``document`` as a file to keep, in its own language."""
    response = Response(documents.paper(document), mimetype="application/pdf")
    response.headers.set(
        "Content-Disposition", "attachment", filename=documents.file_name(document)
    )
    return response


def page_of(rt: Runtime, document: Document) -> dict[str, Any]:
    """Return what a page needs to show ``document``, in its reader's language."""
    today: date = rt.today()
    events = history(rt.session, document.public_id)
    told = any(one.kind == "paid" for one in events)
    return {
        "document": document,
        "sheet": documents.sheet(document, str(get_locale() or "en"), has_history=told),
        "state": pill_state(document.state, document.due_on, today),
        "events": events,
    }
