"""Importing products: twice the same file changes nothing, nothing bad gets in."""

import pytest
import sqlalchemy as sa
from flask_babel import force_locale

from storefront.merchant_texts import said
from storefront.models import Product, ProductVariant, StockMove
from storefront.operations.catalogue import raise_version
from storefront.services import imports as service
from storefront.services.imports import import_products
from storefront.services.stock import adjust_stock
from storefront.testing.factories import make_variant

HEADING = (
    "Handle,Title,Body (HTML),Tags,Option1 Value,Variant SKU,Variant Grams,"
    "Variant Inventory Tracker,Variant Inventory Qty,Variant Price,Cost per item\n"
)
ASSAM = (
    'assam,Assam,"<p onclick=x>Malty<script>bad()</script></p>",Black,50 g,AS-50,50,shopify,'
    "12,6.50,2.10\n"
)
LARGE = "assam,,,,100 g,AS-100,100,shopify,4,11.00,4.00\n"
SENCHA = "sencha,Sencha,Plain & green,,,SE,80,shopify,7,8.00,\n"
FILE = (HEADING + ASSAM + LARGE + SENCHA).encode()


def variant(rt, sku):
    found = rt.session.scalars(sa.select(ProductVariant).where(ProductVariant.sku == sku)).one()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def count(rt, model):
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model))
    rt.session.rollback()
    return found


def test_products_come_in_with_variants_stock_and_safe_texts(rt):
    done = import_products(rt, FILE)

    assert (done.new, done.new_variants, done.stock_moves, done.issues) == (2, 3, 3, [])
    texts = rt.session.scalars(sa.select(Product.description).order_by(Product.id)).all()
    assert list(texts) == ["<p>Malty</p>", "<p>Plain &amp; green</p>"]
    assam = variant(rt, "AS-50")
    assert (assam.on_hand, assam.price_minor, assam.cost_minor) == (12, 650, 210)
    moves = rt.session.execute(sa.select(StockMove.kind, StockMove.quantity, StockMove.reason))
    assert [tuple(move) for move in moves] == [
        ("receipt", 12, "import"),
        ("receipt", 4, "import"),
        ("receipt", 7, "import"),
    ]


def test_a_dry_run_says_the_same_and_writes_nothing(rt):
    dry = import_products(rt, FILE, dry_run=True)

    assert (dry.new, dry.new_variants, dry.is_dry_run) == (2, 3, True)
    assert count(rt, Product) == count(rt, ProductVariant) == count(rt, StockMove) == 0


def test_the_same_file_twice_changes_nothing_and_says_so(rt):
    import_products(rt, FILE)
    before = count(rt, StockMove)

    again = import_products(rt, FILE)

    assert again.changes_nothing
    assert (again.new, again.changed, again.unchanged) == (0, 0, 2)
    assert (count(rt, Product), count(rt, StockMove)) == (2, before)


def test_what_changed_is_updated_and_what_people_set_stays(rt):
    import_products(rt, FILE)
    rt.session.execute(sa.update(Product).values(allergens=["nuts"], picture="jar"))
    rt.session.commit()

    done = import_products(rt, FILE.replace(b"8.00", b"8.50").replace(b"Assam", b"Assam Gold"))

    assert (done.changed, done.unchanged, done.names) == (2, 0, ["Assam Gold", "Sencha"])
    assert variant(rt, "SE").price_minor == 850
    kept = rt.session.execute(
        sa.select(Product.name, Product.allergens, Product.picture).order_by(Product.id)
    )
    assert [tuple(row) for row in kept] == [
        ("Assam Gold", ["nuts"], "jar"),
        ("Sencha", ["nuts"], "jar"),
    ]


def test_stock_is_counted_here_from_the_first_import_on(rt):
    import_products(rt, FILE)
    adjust_stock(rt, variant(rt, "SE").public_id, "loss", -2, "wet")

    left_alone = import_products(rt, FILE)
    assert (left_alone.stock_differs, left_alone.changed) == (1, 0)
    assert variant(rt, "SE").on_hand == 5

    import_products(rt, FILE, set_stock=True)
    assert variant(rt, "SE").on_hand == 7
    last = rt.session.scalars(sa.select(StockMove).order_by(StockMove.id.desc())).first()
    assert (last.kind, last.quantity) == ("correction", 2)


def test_a_new_variant_joins_its_product(rt):
    import_products(rt, (HEADING + ASSAM + SENCHA).encode())

    done = import_products(rt, FILE)

    assert (done.new, done.changed, done.new_variants) == (0, 1, 1)
    assert variant(rt, "AS-100").product_id == variant(rt, "AS-50").product_id


def test_a_renamed_sku_is_the_same_variant(rt):
    import_products(rt, FILE)
    key = variant(rt, "SE").id

    import_products(rt, FILE.replace(b",SE,", b",SE-80,"))

    assert variant(rt, "SE-80").id == key


def test_a_sku_of_another_product_is_an_issue_and_changes_neither(rt):
    own = make_variant(rt, sku="SE")

    done = import_products(rt, FILE)

    assert [(issue.row, issue.code) for issue in done.issues] == [(4, "sku_taken")]
    assert done.new == 1
    assert variant(rt, "SE").id == own.id


def test_bad_rows_are_named_and_the_others_come_in(rt):
    done = import_products(rt, FILE.replace(b"8.00", b"cheap"))

    assert [(issue.row, issue.code, issue.value) for issue in done.issues] == [
        (4, "not_an_amount", "cheap")
    ]
    assert count(rt, Product) == 1


@pytest.mark.parametrize("slice_size", [1, 2, 100])
def test_the_size_of_a_slice_changes_nothing(rt, monkeypatch, slice_size):
    monkeypatch.setattr(service, "_SLICE", slice_size)

    assert import_products(rt, FILE).new == 2
    assert import_products(rt, FILE).changes_nothing


def test_the_command_says_in_words_what_it_left_out_and_ends_with_one(
    rt, tmp_path, monkeypatch, settings
):
    from click.testing import CliRunner

    from storefront.cli import main

    file = tmp_path / "products.csv"
    file.write_bytes(FILE.replace(b"8.00", b"much"))
    values = {
        "ENVIRONMENT": "test",
        "DATABASE_URL": settings.database_url,
        "DATA_DIR": str(settings.data_dir),
    }
    for name, value in values.items():
        monkeypatch.setenv(f"STOREFRONT_{name}", value)
    rt.session.rollback()

    done = CliRunner().invoke(main, ["import-products", str(file)])

    assert done.exit_code == 1
    assert "'much' is no amount like 26.00" in done.stderr
    assert "1 issue\n" in done.stdout


def customs(rt):
    """Return HS code and origin of the only variant."""
    row = rt.session.execute(sa.select(ProductVariant.hs_code, ProductVariant.origin_country)).one()
    rt.session.rollback()
    return tuple(row)


def test_data_for_customs_comes_in_where_the_file_has_it_and_else_stays(rt):
    plain = "Handle,Title,Variant SKU,Variant Price\n" + "tea,Tea,TEA,8.90\n"
    told = "Handle,Title,Variant SKU,Variant Price,HS Code,COO\n"
    import_products(rt, plain.encode())
    assert customs(rt) == ("", "")
    import_products(rt, (told + "tea,Tea,TEA,8.90,0902.10,jp\n").encode())
    assert customs(rt) == ("090210", "JP")
    import_products(rt, plain.encode())
    assert customs(rt) == ("090210", "JP")
    wrong = import_products(rt, (told + "tea,Tea,TEA,8.90,0902,Japan\n").encode())
    assert [one.code for one in wrong.issues] == ["not_an_hs_code", "not_a_country"]
    assert customs(rt) == ("090210", "JP")


def test_a_product_that_an_import_renames_keeps_its_names_in_other_languages(rt, app):
    import_products(rt, FILE)
    told = {"de": {"name": "Malziger Assam"}}
    rt.session.execute(sa.update(Product).where(Product.name == "Assam").values(translations=told))
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    with app.app_context(), force_locale("de"):
        assert said("Assam 50 g") == "Malziger Assam 50 g"

    import_products(rt, FILE.replace(b",Assam,", b",Old Assam,"))

    rt.forget_shop()
    with app.app_context(), force_locale("de"):
        assert said("Old Assam 100 g") == "Malziger Assam 100 g"
