"""Delivery costs by zone and weight; each rate of a country becomes a zone at the same price."""

import secrets
from datetime import UTC, datetime
from string import ascii_lowercase

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    zone, area, tariff, band = _tables()
    _move_rates(zone, area, tariff, band)
    op.drop_table("shipping_rate")


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")


def _tables() -> tuple[sa.Table, sa.Table, sa.Table, sa.Table]:
    zone = op.create_table(
        "shipping_zone",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("public_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("is_blocked", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shipping_zone"),
        sa.UniqueConstraint("public_id", name="uq_shipping_zone_public_id"),
    )
    area = op.create_table(
        "shipping_area",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("zone_id", _KEY, nullable=False),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.CheckConstraint(
            "country <> '' OR prefix = ''", name=op.f("ck_shipping_area_prefix_has_country")
        ),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["shipping_zone.id"], name="fk_shipping_area_zone_id_shipping_zone"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_shipping_area"),
        sa.UniqueConstraint("country", "prefix", name="uq_shipping_area_country_prefix"),
    )
    op.create_index("ix_shipping_area_zone_id", "shipping_area", ["zone_id"])
    tariff = op.create_table(
        "shipping_tariff",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("zone_id", _KEY, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("free_from_minor", _KEY, nullable=True),
        sa.CheckConstraint(
            "free_from_minor >= 0", name=op.f("ck_shipping_tariff_free_from_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["shipping_zone.id"], name="fk_shipping_tariff_zone_id_shipping_zone"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_shipping_tariff"),
        sa.UniqueConstraint("zone_id", "currency", name="uq_shipping_tariff_zone_id_currency"),
    )
    band = op.create_table(
        "shipping_band",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("tariff_id", _KEY, nullable=False),
        sa.Column("from_grams", _KEY, nullable=False),
        sa.Column("amount_minor", _KEY, nullable=False),
        sa.CheckConstraint(
            "from_grams >= 0", name=op.f("ck_shipping_band_from_grams_not_negative")
        ),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_shipping_band_amount_not_negative")),
        sa.ForeignKeyConstraint(
            ["tariff_id"], ["shipping_tariff.id"], name="fk_shipping_band_tariff_id_shipping_tariff"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_shipping_band"),
        sa.UniqueConstraint(
            "tariff_id", "from_grams", name="uq_shipping_band_tariff_id_from_grams"
        ),
    )
    op.create_table(
        "box_weight",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("plan_id", _KEY, nullable=False),
        sa.Column("option_key", sa.String(80), nullable=False),
        sa.Column("grams", _KEY, nullable=False),
        sa.CheckConstraint("grams >= 0", name=op.f("ck_box_weight_grams_not_negative")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_box_weight_plan_id_plan"),
        sa.PrimaryKeyConstraint("id", name="pk_box_weight"),
        sa.UniqueConstraint("plan_id", "option_key", name="uq_box_weight_plan_id_option_key"),
    )
    return zone, area, tariff, band


def _move_rates(zone: sa.Table, area: sa.Table, tariff: sa.Table, band: sa.Table) -> None:
    """Make one zone of each country that has a price, with a band for every weight."""
    bind, made = op.get_bind(), datetime.now(UTC)
    rates = bind.execute(
        sa.text(
            "SELECT country, currency, amount_minor, free_from_minor FROM shipping_rate "
            "ORDER BY country, currency"
        )
    ).all()
    keys: dict[str, int] = {}
    for rate in rates:
        if rate.country not in keys:
            letters = "".join(secrets.choice(ascii_lowercase) for _ in range(26))
            keys[rate.country] = bind.execute(
                sa.insert(zone)
                .values(public_id=f"zon_{letters}", name="", is_blocked=False, created_at=made)
                .returning(zone.c.id)
            ).scalar_one()
            bind.execute(
                sa.insert(area).values(zone_id=keys[rate.country], country=rate.country, prefix="")
            )
        priced = bind.execute(
            sa.insert(tariff)
            .values(
                zone_id=keys[rate.country],
                currency=rate.currency,
                free_from_minor=rate.free_from_minor,
            )
            .returning(tariff.c.id)
        ).scalar_one()
        bind.execute(
            sa.insert(band).values(tariff_id=priced, from_grams=0, amount_minor=rate.amount_minor)
        )
