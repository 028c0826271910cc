"""Product exports of other shops, read into plain values with the issues of bad rows."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain import product_files
from storefront.domain.product_files import (
    BrokenTable,
    FileEmpty,
    FileRefused,
    FileTooBig,
    NotText,
    TooManyRows,
    UnknownHeading,
    read_products,
)
from storefront.domain.product_rows import CellProblem, amount_minor, grams, made_sku, whole

SHOPIFY = (
    "Handle,Title,Body (HTML),Vendor,Type,Tags,Option1 Name,Option1 Value,Variant SKU,"
    "Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,"
    "Variant Price,Image Src,Cost per item\n"
)
ASSAM = (
    'assam,Assam,<p>Malty</p>,Nine,Tea,"Black, Strong",Size,50 g,AS-50,50,shopify,12,deny,'
    "6.50,,2.1\n"
)
WOO = (
    "ID,Type,SKU,Name,Short description,Description,Tax class,Stock,Backorders allowed?,"
    "Weight (kg),Regular price,Categories,Tags,Parent,Attribute 1 name,Attribute 1 value(s)\n"
)


def read(text, encoding="utf-8"):
    return read_products(text.encode(encoding), "EUR")


def codes(file):
    return [(issue.row, issue.column, issue.code) for issue in file.issues]


def only(file):
    assert file.issues == ()
    (product,) = file.products
    return product


def test_a_shopify_product_is_read_with_all_that_is_kept():
    product = only(read(SHOPIFY + ASSAM))

    (variant,) = product.variants
    assert (product.ref, product.name, product.vendor) == ("assam", "Assam", "Nine")
    assert (product.category, product.tags) == ("Tea", ("Black", "Strong"))
    assert product.description == "<p>Malty</p>"
    assert (variant.sku, variant.name, variant.price_minor) == ("AS-50", "50 g", 650)
    assert (variant.cost_minor, variant.weight_grams, variant.stock) == (210, 50, 12)
    assert (variant.is_counted, variant.may_oversell) == (True, False)


def test_rows_of_one_handle_are_variants_and_picture_rows_are_passed_over():
    more = "assam,,,,,,,100 g,,100,,3,continue,11.00,,\nassam,,,,,,,,,,,,,,https://x/2.jpg,\n"

    product = only(read(SHOPIFY + ASSAM + more))

    assert [v.sku for v in product.variants] == ["AS-50", "ASSAM-100-G"]
    assert product.variants[1].may_oversell
    assert not product.variants[1].is_counted


def test_shopify_s_newer_headings_are_known():
    text = "Title,URL handle,Description,SKU,Price,Inventory quantity\nAssam,assam,x,A1,6.5,3\n"

    product = only(read(text))

    assert (product.ref, product.variants[0].sku, product.variants[0].stock) == ("assam", "A1", 3)


def test_woocommerce_variations_become_variants_of_their_parent():
    text = (
        WOO
        + '7,variable,TEA,Tea,Short,Long\\nline,,,0,0.2,,"Tea > Black, Gifts",new,,Size,"S, L"\n'
        + "8,variation,TEA-S,Tea - S,,,parent,5,1,,4.00,,,id:7,Size,S\n"
        + "9,variation,,Tea - L,,,parent,,0,0.5,7.00,,,tea,Size,L\n"
    )

    product = only(read(text))

    small, large = product.variants
    assert (product.ref, product.category) == ("id:7", "Tea > Black, Gifts")
    assert product.description == "Short\n\nLong\nline"
    assert (small.sku, small.name, small.weight_grams, small.stock) == ("TEA-S", "S", 200, 5)
    assert (small.is_counted, small.may_oversell) == (True, True)
    assert (large.sku, large.weight_grams, large.is_counted) == ("ID-7-L", 500, False)


def test_what_cannot_be_packed_is_named_not_imported():
    text = WOO + "1,external,E,Link,,,,,,,1,,,,,\n" + '2,"simple, virtual",V,PDF,,,,,,,1,,,,,\n'

    file = read(text)

    assert file.products == ()
    assert codes(file) == [(2, "Type", "not_packable"), (3, "Type", "not_packable")]


@pytest.mark.parametrize(
    ("cell", "bad", "column", "code"),
    [
        ("6.50", "six", "Variant Price", "not_an_amount"),
        ("6.50", "6.505", "Variant Price", "too_fine"),
        ("6.50", "-1", "Variant Price", "negative"),
        ("12,deny", "1.5,deny", "Variant Inventory Qty", "not_whole"),
        ("12,deny", "-2,deny", "Variant Inventory Qty", "negative"),
        ("AS-50,50", "AS-50,heavy", "Variant Grams", "not_a_weight"),
        ("assam,Assam", "assam,", "Title", "missing"),
        ("assam,Assam", ",Assam", "Handle", "missing"),
        ("assam,Assam", f"assam,{'A' * 256}", "Title", "too_long"),
        ("AS-50,50", f"{'A' * 81},50", "Variant SKU", "too_long"),
    ],
)
def test_a_bad_cell_is_named_and_its_product_left_out(cell, bad, column, code):
    good = ASSAM.replace("assam", "other").replace("AS-50", "OTHER")

    file = read(SHOPIFY + ASSAM.replace(cell, bad) + good)

    assert codes(file) == [(2, column, code)]
    assert [product.ref for product in file.products] == ["other"]


def test_a_sku_twice_leaves_out_the_second_product():
    file = read(SHOPIFY + ASSAM + ASSAM.replace("assam", "other"))

    assert [product.ref for product in file.products] == ["assam"]
    assert codes(file) == [(3, "SKU", "sku_twice")]


def test_a_variant_twice_is_an_issue():
    file = read(SHOPIFY + ASSAM + ASSAM.replace("AS-50", "AS-51"))

    assert codes(file) == [(3, "Option1 Value", "variant_twice")]
    assert file.products == ()


def test_a_row_with_more_cells_than_headings_is_an_issue():
    file = read(SHOPIFY + ASSAM.replace("\n", ",surplus\n"))

    assert [issue.code for issue in file.issues] == ["too_many_cells"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_usual_delimiter_and_encoding_is_read(delimiter, encoding):
    text = f"Handle{delimiter}Title{delimiter}Variant Price\r\ntee{delimiter}Grüner Tee{delimiter}5"

    assert only(read(text, encoding)).name == "Grüner Tee"


def test_line_breaks_and_quotes_inside_cells_are_kept():
    row = 'assam,"Assam ""Gold""","<p>One\nTwo</p>",,,,,,A1,,,,,1,,\n'

    product = only(read(SHOPIFY + row))

    assert (product.name, product.description) == ('Assam "Gold"', "<p>One\nTwo</p>")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", FileEmpty),
        (b" \n ", FileEmpty),
        (SHOPIFY.encode(), FileEmpty),
        (b"PK\x03\x04\x00\x00\x08\x00", NotText),
        (b"\xff\xfe\x00", NotText),
        (b"4711;Ada\n1;2\n", UnknownHeading),
        ((SHOPIFY + 'a,"never ends\n').encode(), BrokenTable),
        ((SHOPIFY + f"a,{'x' * 200_000}\n").encode(), BrokenTable),
    ],
)
def test_a_file_that_is_no_export_is_refused_with_its_reason(data, error):
    with pytest.raises(error):
        read_products(data, "EUR")


def test_an_unknown_heading_is_told():
    with pytest.raises(UnknownHeading) as refused:
        read("4711;Ada\n")

    assert refused.value.params == {"found": ["4711", "Ada"]}


def test_files_over_the_limits_are_refused_and_not_cut(monkeypatch):
    monkeypatch.setattr(product_files, "MOST_ROWS", 1)
    with pytest.raises(TooManyRows):
        read(SHOPIFY + ASSAM + ASSAM)
    monkeypatch.setattr(product_files, "MOST_BYTES", 10)
    with pytest.raises(FileTooBig):
        read(SHOPIFY + ASSAM)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(data):
    with contextlib.suppress(FileRefused):
        read_products(SHOPIFY.encode() + data, "EUR")


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("9.99", 999),
        ("9,99", 999),
        ("9", 900),
        ("9.5", 950),
        ("€1.234,50", 123450),
        ("1,234,567.00", 123456700),
        ("1.234.567", 123456700),
        ("12.3400", 1234),
    ],
)
def test_amounts_are_read_as_shops_write_them(text, minor):
    assert amount_minor(text, "EUR") == minor


@pytest.mark.parametrize("text", ["", "abc", "1.234", "1,234", "9.999", "-1", "1.2.3", "free", "."])
def test_amounts_that_could_mean_two_things_are_refused(text):
    with pytest.raises(CellProblem):
        amount_minor(text, "EUR")


def test_currencies_without_or_with_three_decimals_have_their_own_units():
    assert (amount_minor("500", "JPY"), amount_minor("1.234", "KWD")) == (500, 1234)


@pytest.mark.parametrize("text", ["1.5", "x", "1e5", "9" * 13])
def test_pieces_are_whole_numbers(text):
    with pytest.raises(CellProblem):
        whole(text)


@pytest.mark.parametrize(("text", "unit"), [("x", "kg"), ("1", "stone"), ("2000", "kg")])
def test_weights_that_cannot_be_are_refused(text, unit):
    with pytest.raises(CellProblem):
        grams(text, unit)


def test_a_made_sku_is_stable_short_and_never_taken():
    assert made_sku("tea", "S", {"TEA-S"}) == made_sku("tea", "S", {"TEA-S"}) != "TEA-S"
    assert len(made_sku("x" * 200, "")) == 80
    assert made_sku("***", "") == made_sku("***", "") != made_sku("!!!", "")
