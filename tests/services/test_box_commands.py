"""The commands of cycles, exports and imports, as an operator types them."""

import os
from datetime import timedelta

import pytest
from click.testing import CliRunner

from storefront.app import create_app
from storefront.cli import main
from storefront.extensions import db
from storefront.settings import PREFIX, load_settings
from storefront.testing.factories import (
    make_code,
    make_group,
    make_plan,
    make_recipe,
    make_shop,
)
from tests.support.boxes import cycles_of, make_box

FILE = "Handle,Title,Variant Price,Variant SKU\nassam,Assam,6.50,AS\nbad,Bad,cheap,BAD\n"


def run(*arguments):
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture
def rt(tmp_path, monkeypatch):
    """A shop of its own on the clock of today, which the commands find by the environment."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STOREFRONT_ENVIRONMENT", "test")
    monkeypatch.setenv("STOREFRONT_DATA_DIR", str(tmp_path / "instance"))
    assert run("migrate").exit_code == 0
    app = create_app(load_settings(os.environ))
    with app.app_context():
        runtime = app.extensions["storefront"]
        make_shop(runtime)
        yield runtime
        db.session.remove()
        db.engine.dispose()
    for gateway in runtime.gateways.values():
        gateway.bank.close()


def test_boxes_go_from_plan_to_file_by_commands(rt):
    start = (rt.today() - timedelta(days=70)).replace(day=1)
    group = make_group(rt, anchor_on=start, cycles=1)
    plan = make_plan(rt, group=group)
    make_recipe(rt, plan)
    make_box(rt, plan, cycles_of(rt, group)[0])
    rt.session.remove()

    assert "cycles made" in run("plan-cycles").output
    assert "1 cycles locked, 1 boxes locked, 0 held" in run("close-cycles").stdout
    assert "0 cycles locked" in run("close-cycles").stdout
    exported = run("export-boxes").stdout
    assert exported.startswith("1 boxes in ")
    assert "nothing to export" in run("export-boxes").stdout


def test_products_are_imported_and_the_second_time_nothing_changes(rt, tmp_path):
    file = tmp_path / "products.csv"
    file.write_text(FILE, encoding="utf-8")
    rt.session.remove()

    dry = run("import-products", str(file), "--dry-run")
    assert "1 new, 0 changed, 0 unchanged, 1 issue\n" in dry.stdout
    assert "dry run: nothing was written" in dry.stdout
    assert dry.exit_code == 1
    assert "row 3, Variant Price: 'cheap' is no amount like 26.00" in dry.stderr
    assert "1 new" in run("import-products", str(file)).stdout
    assert "nothing was changed" in run("import-products", str(file)).stdout


def test_a_file_that_is_no_export_ends_the_command_without_a_trace(rt, tmp_path):
    file = tmp_path / "products.csv"
    file.write_text("4711;Ada\n", encoding="utf-8")
    rt.session.remove()

    refused = run("import-products", str(file))

    assert refused.exit_code == 1
    assert "unknown_heading" in refused.stderr


def test_codes_of_a_campaign_are_made_and_the_second_time_none(rt):
    coupon = make_code(rt, "FLYER")
    rt.session.remove()

    arguments = ("make-codes", coupon.public_id, "--batch", "March", "--count", "7")
    done = run(*arguments, "--prefix", "tea")
    assert "codes made: 7 of 7" in done.stderr
    assert "7 codes made in batch March" in done.stdout
    assert "0 codes made in batch March" in run(*arguments).stdout
    wrong = CliRunner().invoke(main, ["make-codes", "cou_no", "--batch", "x", "--count", "1"])
    assert wrong.exit_code == 1


def test_subscribers_are_tried_by_default_and_imported_with_run(rt, tmp_path):
    make_plan(rt, code="club", ships=False)
    tokens = [rt.gateways["demo"].bank.token_for("4242") for _each in range(2)]
    day = rt.today() + timedelta(days=9)
    heading = (
        "source,id,email,name,street,postcode,city,country,plan,next_charge_on,gateway,"
        "gateway_method,billed_elsewhere\n"
    )
    where = f"Ada,Lindenweg 4,07743,Jena,DE,club,{day},demo"
    file = tmp_path / "subscribers.csv"
    file.write_text(
        f"{heading}woo,1,a@example.org,{where},{tokens[0]},\n"
        f"woo,2,b@example.org,{where},{tokens[1]},yes\n"
    )

    tried = run("import-subscribers", str(file))
    assert tried.exit_code == 0
    assert "2 rows: 2 would be made, 0 here already, 0 left out" in tried.stdout
    assert "dry run: nothing was written" in tried.stdout
    assert "WARNING: still billed by the other system: 1." in tried.output

    first = run("import-subscribers", str(file), "--run")
    assert first.exit_code == 1
    assert "2 rows: 1 made, 0 here already, 1 left out" in first.stdout
    assert "row 3, billed_elsewhere: the other system still bills it" in first.output

    second = run("import-subscribers", str(file), "--run", "--stopped-billing-there")
    assert "2 rows: 1 made, 1 here already, 0 left out" in second.stdout
    assert "note: row 2, id: '1' was imported before" in second.output
