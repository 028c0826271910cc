"""Another plan as an offer to somebody who is about to leave."""

from alembic import op

revision = "0077"
down_revision = "0076"
branch_labels = None
depends_on = None

_KINDS = "kind IN ('pause','skip','discount')"
_MORE_KINDS = "kind IN ('pause','skip','discount','plan')"
_TO_PLAN = "(kind = 'plan') = (to_plan_id IS NOT NULL)"


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    if is_postgresql:
        op.execute(
            "ALTER TABLE leaving_offer DROP CONSTRAINT ck_leaving_offer_kind, "
            f"ADD CONSTRAINT ck_leaving_offer_kind CHECK ({_MORE_KINDS})"
        )
    else:
        _rebuild("leaving_offer", _KINDS, _MORE_KINDS)
    # A plain column, behind the table made anew.
    op.execute(
        f"ALTER TABLE leaving_offer ADD COLUMN to_plan_id {'BIGINT' if is_postgresql else 'INTEGER'} "
        "CONSTRAINT fk_leaving_offer_to_plan_id REFERENCES plan (id) "
        f"CONSTRAINT ck_leaving_offer_to_plan CHECK ({_TO_PLAN})"
    )


def _rebuild(table: str, old: str, new: str) -> None:
    """Make a table of SQLite anew with ``old`` in its text replaced, its rows, its indexes."""
    connection = op.get_bind()
    (text,) = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
    ).one()
    if text.count(old) != 1:
        raise RuntimeError(f"{table} does not have {old} once")
    indexes = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') "
        "AND sql IS NOT NULL",
        (table,),
    ).all()
    names = (f'CREATE TABLE "{table}"', f"CREATE TABLE {table}")
    head = next(name for name in names if text.startswith(name))
    fresh = text.replace(head, f"CREATE TABLE {table}_fresh", 1).replace(old, new)
    connection.exec_driver_sql(fresh)
    connection.exec_driver_sql(f"INSERT INTO {table}_fresh SELECT * FROM {table}")
    connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql(f"ALTER TABLE {table}_fresh RENAME TO {table}")
    for (statement,) in indexes:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    raise RuntimeError("nothing goes back; restore a backup instead")
