"""The recipe editor warns of what the boxes before held already."""

from storefront.domain.boxes import BoxState
from storefront.models import BoxItem
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant, save
from tests.support.boxes import cycles_of, make_box
from tests.support.desk import Desk


def test_who_writes_the_recipe_of_a_cycle_is_told_what_the_boxes_before_held(app, rt):
    group = make_group(rt)
    plan, other = make_plan(rt, group=group), make_plan(rt, group=group)
    march, april, may = cycles_of(rt, group)[:3]
    assam, sencha, spoon = (
        make_variant(rt, name=name, sku=name.upper()) for name in ("Assam", "Sencha", "Spoon")
    )
    for of, cycle, variant, origin in (
        (plan, march, sencha, "recipe"),
        (plan, april, assam, "recipe"),
        (plan, april, assam, "substitute"),
        (plan, april, spoon, "addon"),
        (other, april, sencha, "recipe"),
    ):
        box = make_box(rt, of, cycle, state=BoxState.SHIPPED)
        save(rt, BoxItem(box_id=box.id, variant_id=variant.id, quantity=1, origin=origin))
    for cycle in (None, may):
        make_recipe(rt, plan, cycle=cycle, variants=[assam, sencha, spoon])
    desk, url = Desk(app, rt, "fulfilment"), f"/admin/recipes/{plan.public_id}"

    page = desk.get(f"{url}?cycle={may.public_id}").text
    assert "The boxes of this plan before held it too: Assam (2 boxes)." in page
    # The standing recipe is the same every time.
    assert "before held it too" not in desk.get(url).text
