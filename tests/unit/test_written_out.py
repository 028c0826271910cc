"""Members of enumerations stand in the statements, not beside them."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm.evaluator import _EvaluatorCompiler

from storefront.domain.boxes import BoxState
from storefront.models import Box
from storefront.models.base import written_out


def text_of(statement, dialect=sqlite.dialect):
    compiled = statement.compile(dialect=dialect())
    return str(compiled).partition("WHERE ")[2].replace("\n", " "), compiled.params


def test_a_member_is_written_and_what_comes_from_outside_is_bound():
    wanted = sa.select(Box.id).where(Box.state == BoxState.HELD, Box.subscription_id == 7)
    for dialect in (sqlite.dialect, postgresql.dialect):
        text, params = text_of(wanted, dialect)
        assert text.startswith("box.state = 'held' AND box.subscription_id = ")
        assert list(params.values()) == [7]
    # A word is not a member, even where it is one's value: somebody may have typed it.
    assert list(text_of(sa.select(Box.id).where(Box.state == "held"))[1].values()) == ["held"]


def test_several_members_are_written_in_their_order():
    table = Box.__table__
    some = sa.select(table.c.id).where(table.c.state.in_([BoxState.HELD, BoxState.CANCELED]))
    assert text_of(some) == ("box.state IN ('held', 'canceled')", {})
    others = sa.select(table.c.id).where(table.c.state.not_in([BoxState.HELD]))
    assert text_of(others) == ("(box.state NOT IN ('held'))", {})
    assert text_of(sa.select(table.c.id).where(table.c.state != BoxState.HELD))[0].endswith(
        "'held'"
    )


def test_none_of_no_members_is_nothing():
    nothing = sa.select(Box.id).where(Box.state.in_([]))
    assert "IN" in text_of(nothing)[0]


def test_statements_of_other_members_are_other_statements_to_the_cache():
    def key(*states):
        return sa.select(Box.id).where(Box.state.in_(states))._generate_cache_key().key

    def one(state):
        return sa.select(Box.id).where(Box.state == state)._generate_cache_key().key

    assert key(BoxState.HELD) == key(BoxState.HELD) != key(BoxState.CANCELED)
    assert one(BoxState.HELD) == one(BoxState.HELD) != one(BoxState.CANCELED)


def test_rows_of_each_state_are_found_one_statement_after_another(rt):
    table = sa.table("things", sa.column("state", Box.__table__.c.state.type))
    rows = "SELECT 'held' AS state UNION ALL SELECT 'canceled'"
    for state in (BoxState.HELD, BoxState.CANCELED, BoxState.HELD):
        things = sa.text(rows).columns(table.c.state).subquery()
        found = rt.session.scalars(sa.select(things.c.state).where(things.c.state == state)).all()
        assert found == [state]
    rt.session.rollback()


def test_an_update_still_knows_which_loaded_rows_it_meant():
    class Loaded:
        pass

    compare = _EvaluatorCompiler(Loaded).process(sa.literal("held") == written_out("held"))
    assert compare(Loaded()) is True


def test_words_of_our_own_are_written_where_a_column_is_plain_text():
    text = sa.select(sa.column("id")).where(sa.column("kind") == written_out("o'clock"))
    assert text_of(text) == ("kind = 'o''clock'", {})
