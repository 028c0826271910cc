"""Products, stock and the import page, as a person who packs uses them."""

import io
import re

import pytest
import sqlalchemy as sa

from storefront.domain import product_files
from storefront.models import AuditEntry, Product, ProductVariant, StockMove
from storefront.testing.factories import make_variant
from tests.support.desk import PARTIAL, Desk

SHOPIFY = (
    "Handle,Title,Body (HTML),Variant SKU,Variant Inventory Tracker,Variant Inventory Qty,"
    "Variant Price\n"
    'assam,Assam,"<p>Malty<img src=x onerror=alert(1)></p>",AS,shopify,12,6.50\n'
    "sencha,Sencha,,SE,shopify,3,8.00\n"
)


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def desk(app, rt):
    return Desk(app, rt, "fulfilment")


def product_of(rt, variant):
    found = rt.session.scalar(sa.select(Product.public_id).where(Product.id == variant.product_id))
    rt.session.rollback()
    return found


def on_hand(rt, sku):
    found = rt.session.scalar(sa.select(ProductVariant.on_hand).where(ProductVariant.sku == sku))
    rt.session.rollback()
    return found


def upload(text, name="products.csv"):
    data = text if isinstance(text, bytes) else text.encode()
    return {"file": (io.BytesIO(data), name)}


def try_file(desk, text=SHOPIFY, **data):
    return desk.post(
        "/admin/imports",
        upload(text) | data,
        on="/admin/imports",
        content_type="multipart/form-data",
    )


def run_tried(desk, page, **data):
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', page)[1]
    return desk.post("/admin/imports/run", {"digest": digest, **data}, on="/admin/imports")


def test_the_list_is_searched_and_filtered(rt, desk):
    make_variant(rt, name="Assam", sku="AS-1", on_hand=500)
    make_variant(rt, name="Sencha 100%", sku="SE-1", on_hand=3)

    everything = desk.get("/admin/products").text
    assert "Assam" in everything
    assert "Sencha" in everything
    by_sku = desk.get("/admin/products?q=as-").text
    assert "Assam" in by_sku
    assert "Sencha" not in by_sku
    assert "Sencha" in desk.get("/admin/products?q=100%25").text
    low = desk.get("/admin/products?stock=low").text
    assert "Sencha" in low
    assert "Assam" not in low
    assert "No product is like that." in desk.get("/admin/products?q=zzz").text


def test_the_list_is_paged_without_missing_one(rt, desk):
    for number in range(53):
        make_variant(rt, name=f"Tea {number % 5}", sku=f"N-{number}")
    first = desk.get("/admin/products").text
    older = re.search(r'rel="next" href="([^"]+)"', first)[1]
    second = desk.get(older.replace("&amp;", "&")).text

    skus = re.findall(r">(N-\d+)<|(N-\d+)", first) + re.findall(r">(N-\d+)<|(N-\d+)", second)
    assert len({a or b for a, b in skus}) == 53
    assert 'rel="next"' not in second


def test_an_empty_shop_says_how_products_come_in(desk):
    page = desk.get("/admin/products").text

    assert "No products yet" in page
    assert 'href="/admin/imports"' in page


@pytest.mark.parametrize(
    ("kind", "pieces", "after"), [("receipt", "5", 15), ("loss", "4", 6), ("correction", "0", 0)]
)
def test_stock_is_changed_with_a_reason_and_by_name(rt, desk, kind, pieces, after):
    variant = make_variant(rt, sku="AS", on_hand=10)
    page = f"/admin/products/{product_of(rt, variant)}"
    name = variant.public_id

    answer = desk.post(
        f"/admin/stock/{name}",
        {f"{name}-kind": kind, f"{name}-pieces": pieces, f"{name}-reason": "stocktake"},
        on=page,
    )

    assert (answer.status_code, answer.location) == (303, page)
    assert on_hand(rt, "AS") == after
    shown = desk.get(page).text
    assert f"Saved. There are {after} now." in shown
    assert "stocktake" in shown
    assert "Fulfilment" in shown  # the name of who did it


@pytest.mark.parametrize(
    ("kind", "pieces", "reason", "message"),
    [
        ("receipt", "many", "", "Enter a whole number, like 120"),
        ("receipt", "", "", "Enter a whole number, like 120"),
        ("receipt", "0", "", "Enter a number from 1 to"),
        ("loss", "-2", "wet", "Enter a number from 1 to"),
        ("loss", "2", "", "Say what happened to them"),
        ("loss", "11", "wet", "There are not that many"),
        ("theft", "1", "x", "Choose one from the list"),
        ("receipt", "1", "x" * 121, "Reason must be 120 characters or fewer"),
    ],
)
def test_a_bad_change_is_told_beside_its_field_and_kept(rt, desk, kind, pieces, reason, message):
    variant = make_variant(rt, sku="AS", on_hand=10)
    page = f"/admin/products/{product_of(rt, variant)}"
    name = variant.public_id

    answer = desk.post(
        f"/admin/stock/{name}",
        {f"{name}-kind": kind, f"{name}-pieces": pieces, f"{name}-reason": reason},
        on=page,
        headers=PARTIAL,
    )

    assert answer.status_code == 422
    assert message in answer.text
    assert f'value="{pieces}"' in answer.text
    assert on_hand(rt, "AS") == 10


def save_rule(desk, variant, page, **values):
    name = variant.public_id
    typed = {f"{name}-rule-{key}": value for key, value in values.items()}
    return desk.post(f"/admin/stock/{name}/rule", typed, on=page)


def test_what_is_done_when_a_product_runs_out_is_said_on_its_page(rt, desk):
    variant = make_variant(rt, sku="AS")
    make_variant(rt, sku="BS", name="Other tea")
    page = f"/admin/products/{product_of(rt, variant)}"

    save_rule(desk, variant, page, policy="make")
    found = rt.session.execute(
        sa.select(ProductVariant.is_counted, ProductVariant.may_oversell).where(
            ProductVariant.sku == "AS"
        )
    ).one()
    rt.session.rollback()
    assert tuple(found) == (False, True)

    for values, message in (
        ({"policy": "drop"}, "Its price is not known"),
        ({"policy": "substitute"}, "Enter the SKU that goes in instead"),
        ({"policy": "substitute", "substitute": "AS"}, "No other product has this SKU"),
    ):
        answer = save_rule(desk, variant, page, **values)
        assert (answer.status_code, message in answer.text) == (422, True)

    save_rule(desk, variant, page, policy="substitute", substitute="BS", is_counted="y")
    assert 'value="BS"' in desk.get(page).text


def test_overselling_does_not_end_while_pieces_are_owed(rt, desk):
    variant = make_variant(rt, sku="AS", on_hand=-2, may_oversell=True)
    page = f"/admin/products/{product_of(rt, variant)}"

    answer = save_rule(desk, variant, page, policy="hold", is_counted="y")

    assert answer.status_code == 422
    assert "Pieces are owed to boxes" in answer.text


def test_allergens_and_picture_are_saved(rt, desk):
    variant = make_variant(rt)
    page = f"/admin/products/{product_of(rt, variant)}"

    saved = desk.post(page, {"allergens": " nuts,  gluten ,nuts", "picture": "jar"}, on=page)

    assert saved.status_code == 303
    found = rt.session.execute(sa.select(Product.allergens, Product.picture)).one()
    rt.session.rollback()
    assert tuple(found) == (["nuts", "gluten"], "jar")
    bad = desk.post(page, {"allergens": "x" * 41, "picture": "jar"}, on=page)
    assert bad.status_code == 422
    assert "Each word must be 40 characters or fewer" in bad.text


def test_why_nobody_may_withdraw_from_a_product_is_saved_and_logged(rt, desk):
    page = f"/admin/products/{product_of(rt, make_variant(rt))}"

    sealed = {"no_withdrawal": "sealed", "picture": "jar"}
    assert desk.post(page, sealed, on=page).status_code == 303

    assert rt.session.scalars(sa.select(Product.no_withdrawal)).all() == ["sealed"]
    logged = rt.session.scalars(sa.select(AuditEntry.after)).all()[-1]
    rt.session.rollback()
    assert logged["no_withdrawal"] == "sealed"
    assert '<option selected value="sealed">' in desk.get(page).text
    assert desk.post(page, sealed | {"no_withdrawal": "whim"}, on=page).status_code == 422


def test_a_file_is_tried_then_imported_and_the_second_time_changes_nothing(rt, desk):
    tried = try_file(desk)
    assert tried.status_code == 200
    assert "Import 2 products" in tried.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Product)) == 0
    rt.session.rollback()

    done = run_tried(desk, tried.text)
    assert (done.status_code, done.location) == (303, "/admin/products")
    assert "Imported: 2 new, 0 changed, 0 as they were." in desk.get("/admin/products").text
    assert on_hand(rt, "AS") == 12

    again = try_file(desk)
    assert "Importing it changes nothing." in again.text
    assert 'name="digest"' not in again.text


def test_a_description_from_outside_is_shown_safe(rt, desk):
    run_tried(desk, try_file(desk).text)
    product = rt.session.scalar(sa.select(Product.public_id).where(Product.name == "Assam"))
    rt.session.rollback()

    page = desk.get(f"/admin/products/{product}").text

    assert "<p>Malty</p>" in page
    assert "onerror" not in page


def test_bad_rows_are_listed_and_the_others_come_in(rt, desk):
    tried = try_file(desk, SHOPIFY.replace("8.00", "<b>cheap"))

    assert "1 cell cannot be imported; its product is left out" in tried.text
    assert "is no amount like 26.00" in tried.text
    assert "&lt;b&gt;cheap" in tried.text
    done = run_tried(desk, tried.text)
    assert done.status_code == 200
    assert "Imported: 1 new" in done.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Product)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04\x00\x00", "Use a CSV file. This one is no text."),
        (b"4711;Ada\n", "We found: 4711; Ada"),
        (b"", "The file holds no products."),
        (SHOPIFY.splitlines()[0].encode(), "The file holds no products."),
        (SHOPIFY.encode() + b'x,"open', "The table breaks off in row 4."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_reason(desk, content, message):
    answer = try_file(desk, content)

    assert answer.status_code == 422
    assert message in answer.text
    assert '<a href="#file">' in answer.text


def test_a_file_that_is_too_big_is_refused(desk, monkeypatch):
    monkeypatch.setattr(product_files, "MOST_BYTES", 100)

    answer = try_file(desk)

    assert answer.status_code == 422
    assert "The file is bigger than" in answer.text


def test_no_file_at_all_is_told(desk):
    answer = desk.post("/admin/imports", on="/admin/imports")

    assert answer.status_code == 422
    assert "Choose a CSV file" in answer.text


def test_another_file_than_the_one_tried_is_not_imported(rt, desk):
    first = try_file(desk).text
    try_file(desk, SHOPIFY.replace("Assam", "Other"))

    answer = run_tried(desk, first)

    assert answer.status_code == 422
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Product)) == 0


def test_stock_is_set_to_the_file_s_only_when_asked(rt, desk):
    run_tried(desk, try_file(desk).text)
    more = SHOPIFY.replace(",12,", ",99,")

    assert "has another stock here than in the file" in try_file(desk, more).text
    tried = try_file(desk, more, set_stock="1")
    run_tried(desk, tried.text, set_stock="1")

    assert on_hand(rt, "AS") == 99
    kinds = rt.session.scalars(sa.select(StockMove.kind).order_by(StockMove.id)).all()
    assert kinds[-1] == "correction"


@pytest.mark.parametrize("path", ["/admin/products/prod_none", "/admin/products/x"])
def test_an_unknown_product_is_not_found(desk, path):
    assert desk.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/admin/products/%00", "/admin/products?after=%00"])
def test_a_character_that_no_database_keeps_is_refused(desk, path):
    assert desk.get(path).status_code == 400
    page = "/admin/imports"
    assert desk.post("/admin/stock/x", {"a": "\0"}, on=page).status_code == 400


def test_an_unknown_variant_is_not_found(desk):
    answer = desk.post("/admin/stock/var_none", on="/admin/imports")

    assert answer.status_code == 404


def test_support_may_not_see_products(app, rt):
    support = Desk(app, rt, "support")

    for path in ("/admin/products", "/admin/imports"):
        assert support.get(path).status_code == 403
