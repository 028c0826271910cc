"""Invoices and credit notes as staff see them: page and PDF."""

from __future__ import annotations

from flask import Blueprint, Response, abort

from storefront.blueprints import papers
from storefront.blueprints.admin.base import page
from storefront.blueprints.context import runtime
from storefront.documents import illegible
from storefront.domain import permissions
from storefront.queries import documents
from storefront.queries.disputes import dispute_of
from storefront.queries.documents import Document
from storefront.security import register_policy, staff

_VIEW = staff(permissions.SUBSCRIBERS_VIEW)
register_policy({"admin.document": _VIEW, "admin.document_pdf": _VIEW})


def add_documents(bp: Blueprint) -> None:
    """Add the page of a document and its PDF."""
    bp.add_url_rule("/documents/<ref>", "document", document)
    bp.add_url_rule("/documents/<ref>/pdf", "document_pdf", document_pdf)


def document(ref: str) -> Response:
    """Show an invoice (inv_…) or a credit note (crn_…)."""
    rt = runtime()
    found = _found(ref)
    return page(
        "documents/document",
        customer=documents.payer(rt.session, found),
        illegible=" ".join(illegible(found)),
        dispute=dispute_of(rt.session, ref),
        **papers.page_of(rt, found),
    )


def document_pdf(ref: str) -> Response:
    """Download it."""
    return papers.pdf(_found(ref))


def _found(ref: str) -> Document:
    found = documents.document(runtime().session, ref)
    if found is None:
        abort(404)
    return found
