"""Take over the products of another shop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from storefront.adapters.html import plain_html, safe_html
from storefront.database import reading, retrying
from storefront.domain.product_files import FileKind, read_products
from storefront.domain.product_rows import ProductData, RowIssue
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.operations.products import Plan, plan_import, write_import
from storefront.runtime import Runtime

#: Products compared and written in one transaction.
_SLICE = 100

Report = Callable[[int, int], None]


@dataclass(slots=True)
class ImportReport:
    """What an import did, or as a dry run would do."""

    kind: FileKind
    encoding: str
    is_dry_run: bool
    row_count: int
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    new_variants: int = 0
    #: Variants whose stock here differs from the file's and is left as it is.
    stock_differs: int = 0
    #: Variants that come with stock of their own, now entered as receipts or corrections.
    stock_moves: int = 0
    issues: list[RowIssue] = field(default_factory=list)
    #: Names of the first products that are new or changed.
    names: list[str] = field(default_factory=list)

    @property
    def changes_nothing(self) -> bool:
        """Whether every product that can be read is here exactly as in the file."""
        return not (self.new or self.changed)


def import_products(
    rt: Runtime,
    data: bytes,
    *,
    dry_run: bool = False,
    set_stock: bool = False,
    who: Who | None = None,
    report: Report | None = None,
) -> ImportReport:
    """Import a product export of Shopify or WooCommerce; twice the same file changes nothing.

    Products with a bad row are left out and named in the report; all others are written, 100
    in a transaction, so that a crash leaves whole products and the next run the rest. A dry
    run writes nothing. ``set_stock`` sets the stock of variants that are here already to the
    file's; without it only new variants bring stock. Raises ``FileRefused`` for a file that
    cannot be read at all.
    """
    currency, actor = rt.shop.currency, who.public_id if who else "worker"
    file = read_products(data, currency)
    done = ImportReport(file.kind, file.encoding, dry_run, file.row_count)
    done.issues += file.issues
    for start in range(0, len(file.products), _SLICE):
        part = [_made_safe(one) for one in file.products[start : start + _SLICE]]
        if dry_run:
            plan = _dry(rt, file.kind, part, currency, set_stock)
        else:
            plan = _write(rt, file.kind, part, currency, set_stock, actor)
        _count(done, plan)
        if report is not None:
            report(min(start + _SLICE, len(file.products)), len(file.products))
    if who is not None and not dry_run:
        after = {"new": done.new, "changed": done.changed, "issues": len(done.issues)}
        audit.write(
            rt.session, who.id, "products.imported", file.kind, {}, after, rt.moment(), who.ip
        )
        rt.session.commit()
    done.issues.sort(key=lambda issue: issue.row)
    return done


def _made_safe(product: ProductData) -> ProductData:
    text = product.description
    return replace(product, description=safe_html(text if "<" in text else plain_html(text)))


def _dry(
    rt: Runtime, kind: FileKind, part: Sequence[ProductData], currency: str, set_stock: bool
) -> Plan:
    with reading():
        plan = plan_import(rt.session, kind, part, currency, set_stock=set_stock)
        rt.session.rollback()
    return plan


def _write(
    rt: Runtime,
    kind: FileKind,
    part: Sequence[ProductData],
    currency: str,
    set_stock: bool,
    actor: str,
) -> Plan:
    def work() -> Plan:
        plan = plan_import(rt.session, kind, part, currency, set_stock=set_stock)
        write_import(rt.session, plan, kind, currency, rt.moment(), actor)
        if plan.changed:
            # What is kept of the catalogue goes by names, such as those in other languages.
            raise_version(rt.session)
        rt.session.commit()
        return plan

    try:
        return retrying(rt.session, work)
    except sa.exc.IntegrityError:
        # Somebody imported the same products in this moment: compared again, they are there.
        return retrying(rt.session, work)


def _count(done: ImportReport, plan: Plan) -> None:
    done.new += len(plan.new)
    done.changed += len(plan.changed)
    done.unchanged += plan.unchanged
    brought = [data for product in plan.new for data in product.variants]
    brought += [data for _product, data in plan.new_variants]
    done.new_variants += len(brought)
    done.stock_moves += len(plan.stock) + sum(1 for data in brought if data.stock)
    done.stock_differs += plan.stock_differs
    done.issues += plan.issues
    names = [product.name for product in plan.new] + [data.name for _k, data, _v in plan.changed]
    done.names = (done.names + names)[:20]
