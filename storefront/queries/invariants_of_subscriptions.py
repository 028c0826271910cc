"""What must hold of subscriptions, boxes, coupons and credit, in SQL for both databases."""

from __future__ import annotations

from storefront.queries.invariant import Invariant

SUBSCRIPTIONS = (
    Invariant(
        "S2",
        "nothing is due any more for an ended subscription",
        "SELECT s.public_id FROM subscription s WHERE s.state IN ('canceled','expired')"
        " AND s.renews_at IS NOT NULL",
    ),
    Invariant(
        "S2-sent",
        "after a subscription has ended no charge is sent for it, unless for another, an extra, or"
        " by its customer for boxes that were sent",
        "SELECT a.public_id FROM charge_attempt a JOIN invoice_line l ON l.invoice_id ="
        " a.invoice_id JOIN subscription s ON s.id = l.subscription_id WHERE s.state = 'canceled'"
        " AND l.kind <> 'extra' AND a.gateway <> 'manual' AND a.sent_at IS NOT NULL"
        " AND (date(a.sent_at) > s.ended_on"
        " OR EXISTS (SELECT 1 FROM subscription_event e WHERE e.subscription_id = s.id"
        " AND e.kind = 'subscription.ended' AND e.at < a.sent_at)) AND NOT EXISTS (SELECT 1"
        " FROM invoice_line o JOIN subscription r ON r.id = o.subscription_id WHERE o.invoice_id ="
        " a.invoice_id AND r.id <> s.id AND (r.ended_on IS NULL"
        " OR r.ended_on >= date(a.sent_at))) AND NOT (a.on_session AND"
        " EXISTS (SELECT 1 FROM invoice_line u JOIN box b ON b.period_id = u.period_id"
        " WHERE u.invoice_id = a.invoice_id AND NOT u.is_void"
        " AND b.state NOT IN ('planned','held','canceled')))",
    ),
    Invariant(
        "S2-late",
        "a charge that succeeds after the end goes back in full, and its invoice is not owed,"
        " unless boxes on it were sent",
        "SELECT a.public_id FROM charge_attempt a JOIN invoice i ON i.id = a.invoice_id"
        " JOIN invoice_line l ON l.invoice_id = i.id JOIN subscription s ON s.id ="
        " l.subscription_id WHERE s.state = 'canceled' AND a.gateway <> 'manual'"
        " AND l.kind <> 'extra' AND a.state = 'succeeded'"
        " AND (a.refunded_minor <> a.amount_minor OR i.state = 'open')"
        " AND EXISTS (SELECT 1 FROM subscription_event e WHERE e.subscription_id = s.id"
        " AND e.kind = 'subscription.ended' AND e.at < a.answered_at) AND NOT EXISTS (SELECT 1"
        " FROM invoice_line o JOIN subscription r ON r.id = o.subscription_id WHERE o.invoice_id ="
        " i.id AND r.id <> s.id AND (r.ended_on IS NULL OR r.ended_on >= date(a.answered_at)))"
        " AND NOT"
        " EXISTS (SELECT 1 FROM invoice_line u JOIN box b ON b.period_id = u.period_id"
        " WHERE u.invoice_id = a.invoice_id AND NOT u.is_void"
        " AND b.state NOT IN ('planned','held','canceled'))",
    ),
    Invariant(
        "S-stuck",
        "an active subscription has a next billing day or waits for a payment",
        "SELECT s.public_id FROM subscription s WHERE s.state = 'active' AND s.renews_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM invoice_line l JOIN invoice i ON i.id = l.invoice_id"
        " WHERE l.subscription_id = s.id AND i.state = 'open') AND NOT EXISTS (SELECT 1"
        " FROM scheduled_change c WHERE c.subscription_id = s.id AND c.state = 'waiting'"
        " AND c.invoice_id IS NOT NULL)",
    ),
    Invariant(
        "S-together",
        "of a paid order every subscription has begun",
        "SELECT c.public_id FROM checkout c JOIN subscription s ON s.checkout_id = c.id"
        " WHERE c.state = 'done' AND s.state IN ('incomplete','expired')",
    ),
    Invariant(
        "F1",
        "a paid period has exactly its boxes",
        "SELECT p.id FROM subscription_period p LEFT JOIN box b ON b.period_id = p.id"
        " AND b.kind = 'regular' WHERE p.state = 'paid' AND p.kind IN ('billed','gift')"
        " GROUP BY p.id, p.box_count HAVING count(b.id) <> p.box_count",
    ),
    Invariant(
        "F1-unpaid",
        "an unpaid period has no box, unless its plan ships to late payers",
        "SELECT b.public_id FROM box b JOIN subscription_period p ON p.id = b.period_id"
        " WHERE b.kind = 'regular' AND b.state <> 'canceled' AND p.state <> 'paid'"
        " AND NOT EXISTS (SELECT 1 FROM subscription_event e WHERE e.subscription_id ="
        " b.subscription_id AND e.kind = 'subscription.boxes_made_unpaid'"
        " AND e.at = b.created_at)",
    ),
    Invariant(
        "F1-share",
        "the boxes of an invoice line carry exactly what it and what belongs to it cost",
        "SELECT p.id FROM subscription_period p JOIN (SELECT period_id, sum(net_minor) AS net,"
        " sum(tax_minor) AS tax FROM box WHERE kind = 'regular' GROUP BY period_id) b"
        " ON b.period_id = p.id JOIN (SELECT l.period_id, sum(l.gross_minor - l.tax_minor) AS net,"
        " sum(l.tax_minor) AS tax FROM invoice_line l JOIN invoice i ON i.id = l.invoice_id"
        " WHERE i.state = 'paid' AND l.kind <> 'sign_up_fee' GROUP BY l.period_id) l"
        " ON l.period_id = p.id WHERE b.net <> l.net OR b.tax <> l.tax",
    ),
    Invariant(
        "F2",
        "an exported box is in a batch",
        "SELECT public_id FROM box WHERE state IN ('exported','shipped','delivered')"
        " AND batch_id IS NULL",
    ),
    Invariant(
        "F9",
        "a box that was exported has its own copy of where it goes",
        "SELECT public_id FROM box WHERE state IN"
        " ('exported','shipped','delivered','returned','lost')"
        " AND coalesce(CAST(ship_to AS TEXT), 'null') = 'null'",
    ),
    Invariant(
        "F6",
        "a variant's stock is the sum of its moves",
        "SELECT v.sku FROM product_variant v JOIN (SELECT variant_id, sum(CASE WHEN kind ="
        " 'shipment' THEN 0 ELSE quantity END) AS moved FROM stock_move GROUP BY variant_id) m"
        " ON m.variant_id = v.id WHERE v.is_counted AND v.on_hand <> m.moved"
        " AND EXISTS (SELECT 1 FROM stock_move r WHERE r.variant_id = v.id"
        " AND r.kind = 'receipt')",
    ),
    Invariant(
        "F19",
        "boxes in one parcel are of one batch, and the first of them names it",
        "SELECT b.public_id FROM box b JOIN box f ON f.id = b.parcel_id"
        " WHERE f.parcel_id IS NULL OR f.parcel_id <> f.id OR f.id > b.id"
        " OR b.batch_id IS NULL OR f.batch_id IS NULL OR b.batch_id <> f.batch_id",
    ),
    Invariant(
        "F10",
        "a box replaces another exactly when it is a replacement, and that one left",
        "SELECT b.public_id FROM box b LEFT JOIN box o ON o.id = b.replaces_id"
        " LEFT JOIN box_replacement r ON r.box_id = b.id WHERE CASE WHEN b.kind = 'replacement'"
        " THEN o.id IS NULL OR r.id IS NULL OR o.subscription_id <> b.subscription_id"
        " OR (b.state <> 'canceled' AND o.state NOT IN ('delivered','returned','lost'))"
        " ELSE b.replaces_id IS NOT NULL OR r.id IS NOT NULL END",
    ),
    Invariant(
        "F11",
        "a box has at most one replacement that is not cancelled",
        "SELECT replaces_id FROM box WHERE replaces_id IS NOT NULL AND state <> 'canceled'"
        " GROUP BY replaces_id HAVING count(*) > 1",
    ),
    Invariant(
        "F13",
        "what a box holds as chosen was chosen for it",
        "SELECT b.public_id FROM box b JOIN box_item i ON i.box_id = b.id"
        " LEFT JOIN box_choice c ON c.subscription_id = b.subscription_id"
        " AND c.cycle_id = b.cycle_id"
        " LEFT JOIN box_choice_item n ON n.choice_id = c.id AND n.variant_id = i.variant_id"
        " WHERE b.kind = 'regular' AND i.origin = 'choice' AND n.id IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM box_swap s WHERE s.subscription_id = b.subscription_id"
        " AND s.instead_id = i.variant_id)",
    ),
    Invariant(
        "F14",
        "a box of a gift that nobody has said where to send was not packed",
        "SELECT b.public_id FROM box b JOIN gift g ON g.subscription_id = b.subscription_id"
        " JOIN subscription s ON s.id = b.subscription_id"
        " WHERE g.claimed_at IS NULL AND s.address_id IS NULL"
        " AND b.state NOT IN ('planned','held','canceled')",
    ),
    Invariant(
        "A2",
        "of an erased person nothing is left but documents and consents, for their time",
        "SELECT c.public_id FROM customer c WHERE c.erased_at IS NOT NULL AND (c.name <> ''"
        " OR c.email NOT LIKE '%.invalid' OR c.password_hash IS NOT NULL OR c.tax_id <> ''"
        " OR EXISTS (SELECT 1 FROM login_session l WHERE l.customer_id = c.id)"
        " OR EXISTS (SELECT 1 FROM login_link l WHERE l.customer_id = c.id)"
        " OR EXISTS (SELECT 1 FROM two_step t WHERE t.customer_id = c.id)"
        " OR EXISTS (SELECT 1 FROM host_identity h WHERE h.customer_id = c.id)"
        " OR EXISTS (SELECT 1 FROM address a WHERE a.customer_id = c.id"
        " AND (a.name <> '' OR a.street <> '' OR a.phone <> ''))"
        " OR EXISTS (SELECT 1 FROM checkout o WHERE o.customer_id = c.id AND o.email <> '')"
        " OR EXISTS (SELECT 1 FROM payment_method m WHERE m.customer_id = c.id"
        " AND (m.detached_at IS NULL OR m.last4 <> '' OR m.label <> ''))"
        " OR EXISTS (SELECT 1 FROM gift g WHERE g.giver_id = c.id"
        " AND (g.giver_name <> '' OR g.message <> ''))"
        " OR EXISTS (SELECT 1 FROM outbox_message m WHERE m.customer_id = c.id"
        " AND (m.state = 'waiting' OR CAST(m.payload AS TEXT) <> '{}'))"
        " OR EXISTS (SELECT 1 FROM subscription s JOIN box b ON b.subscription_id = s.id"
        " WHERE s.customer_id = c.id AND CAST(b.ship_to AS TEXT) LIKE '%street%'))",
    ),
    Invariant(
        "A1",
        "an account that was merged into another owns nothing",
        "SELECT c.public_id FROM customer c WHERE c.merged_into_id IS NOT NULL AND (EXISTS"
        " (SELECT 1 FROM subscription s WHERE s.customer_id = c.id OR s.payer_id = c.id)"
        " OR EXISTS (SELECT 1 FROM invoice i WHERE i.payer_id = c.id)"
        " OR EXISTS (SELECT 1 FROM payment_method m WHERE m.customer_id = c.id)"
        " OR EXISTS (SELECT 1 FROM address a WHERE a.customer_id = c.id)"
        " OR EXISTS (SELECT 1 FROM carried_amount k WHERE k.payer_id = c.id)"
        " OR EXISTS (SELECT 1 FROM customer_credit k WHERE k.customer_id = c.id"
        " AND k.balance_minor > 0) OR EXISTS (SELECT 1 FROM login_session l"
        " WHERE l.customer_id = c.id AND l.revoked_at IS NULL))",
    ),
    Invariant(
        "F18",
        "a box that was kept back after its cut-off does not leave",
        "SELECT l.public_id FROM late_change l JOIN box b ON b.id = l.box_id"
        " WHERE l.state = 'accepted' AND l.kind = 'keep_back' AND b.state <> 'canceled'",
    ),
    Invariant(
        "F20",
        "what a late change took out of a box went back to the stock and did not leave",
        "SELECT b.public_id FROM box_item i JOIN box b ON b.id = i.taken_from_id WHERE EXISTS"
        " (SELECT 1 FROM stock_move a WHERE a.box_item_id = i.id AND a.kind = 'allocation')"
        " AND (NOT EXISTS (SELECT 1 FROM stock_move r WHERE r.box_item_id = i.id"
        " AND r.kind = 'release') OR EXISTS (SELECT 1 FROM stock_move s"
        " WHERE s.box_item_id = i.id AND s.kind = 'shipment'))",
    ),
    Invariant(
        "F17",
        "the first box of an order leaves no sooner than it was promised",
        "SELECT b.public_id FROM first_box f JOIN box b ON b.period_id = f.period_id"
        " AND b.ordinal = 1 AND b.kind = 'regular' AND b.state <> 'canceled'"
        " JOIN box_cycle stands ON stands.id = b.cycle_id"
        " JOIN box_cycle promised ON promised.id = f.cycle_id"
        " WHERE stands.lock_on < promised.lock_on",
    ),
    Invariant(
        "F15",
        "for what ran out a box is credited once, and never more than it and its add-ons cost",
        "SELECT b.public_id FROM box b JOIN (SELECT box_id, credit_note_id,"
        " sum(credit_minor) AS credit FROM box_shortage WHERE credit_note_id IS NOT NULL"
        " GROUP BY box_id, credit_note_id) s ON s.box_id = b.id"
        " JOIN credit_note c ON c.id = s.credit_note_id WHERE s.credit <> c.total_minor"
        " UNION ALL SELECT b.public_id FROM box b JOIN (SELECT box_id, sum(credit_minor) AS credit"
        " FROM box_shortage GROUP BY box_id) s ON s.box_id = b.id"
        " WHERE s.credit > b.net_minor + b.tax_minor + (SELECT coalesce(sum(l.gross_minor), 0)"
        " FROM invoice_line l WHERE l.period_id = b.period_id AND l.kind = 'addon')"
        " + (SELECT coalesce(sum(p.gross_minor), 0) FROM box_addition_box p"
        " WHERE p.box_id = b.id)"
        # On the invoice of an addition: for its own pieces in this box, a cent each for rounding.
        " UNION ALL SELECT b.public_id FROM box_shortage s JOIN box b ON b.id = s.box_id"
        " JOIN credit_note c ON c.id = s.credit_note_id"
        " JOIN box_addition a ON a.invoice_id = c.invoice_id LEFT JOIN (SELECT box_id,"
        " addition_id, count(*) AS parts, sum(gross_minor) AS gross FROM box_addition_box"
        " GROUP BY box_id, addition_id) p ON p.box_id = b.id AND p.addition_id = a.id"
        " WHERE coalesce(s.variant_id <> a.variant_id, true)"
        " OR s.quantity > a.quantity * coalesce(p.parts, 0)"
        " OR s.credit_minor > coalesce(p.gross, 0) + s.quantity",
    ),
    Invariant(
        "F16",
        "what went in instead of something is in the box",
        "SELECT b.public_id FROM box_shortage s JOIN box b ON b.id = s.box_id"
        " LEFT JOIN box_item i ON i.box_id = s.box_id AND i.variant_id = s.substitute_id"
        " WHERE s.substitute_id IS NOT NULL AND coalesce(i.quantity, 0) < s.quantity",
    ),
    Invariant(
        "F21",
        "something is added to paid boxes exactly when its own invoice is paid",
        "SELECT a.public_id FROM box_addition a JOIN invoice i ON i.id = a.invoice_id"
        " WHERE i.state <> CASE a.state WHEN 'applied' THEN 'paid' WHEN 'waiting' THEN 'offered'"
        " ELSE 'discarded' END",
    ),
    Invariant(
        "F22",
        "what was added to boxes is shared out over them to the last cent",
        "SELECT a.public_id FROM box_addition a JOIN invoice i ON i.id = a.invoice_id"
        " LEFT JOIN (SELECT addition_id, sum(gross_minor) AS gross FROM box_addition_box"
        " GROUP BY addition_id) p ON p.addition_id = a.id"
        " WHERE coalesce(p.gross, 0) <> i.total_minor",
    ),
    Invariant(
        "F23",
        "what was added to a box lies in it until it is packed, or was given back with it",
        "SELECT b.public_id FROM box b JOIN box_addition_box p ON p.box_id = b.id"
        " AND p.returned_at IS NULL JOIN box_addition a ON a.id = p.addition_id"
        " AND a.state = 'applied' LEFT JOIN box_item i ON i.box_id = b.id"
        " AND i.variant_id = a.variant_id"
        # What came with the period lies there beside it, while no change of plan touched the
        # box and no add-on is for another product by now.
        " LEFT JOIN (SELECT s.period_id, o.variant_id,"
        " sum(CASE WHEN s.cadence = 'once' THEN s.quantity ELSE 0 END) AS once,"
        " sum(CASE WHEN s.cadence = 'once' THEN 0 ELSE s.quantity END) AS every"
        " FROM subscription_addon s JOIN addon o ON o.id = s.addon_id"
        " GROUP BY s.period_id, o.variant_id) w ON w.period_id = b.period_id"
        " AND w.variant_id = a.variant_id AND b.kind = 'regular'"
        " AND EXISTS (SELECT 1 FROM invoice_line l WHERE l.id = b.invoice_line_id"
        " AND l.kind = 'plan') AND NOT EXISTS (SELECT 1 FROM box_item x WHERE x.box_id = b.id"
        " AND x.origin = 'addon' AND NOT EXISTS (SELECT 1 FROM addon n"
        " WHERE n.variant_id = x.variant_id)) WHERE a.variant_id IS NOT NULL"
        " AND (b.state = 'canceled' OR (b.state IN ('planned','held') AND b.locked_at IS NULL))"
        " GROUP BY b.id, b.public_id, b.state, b.ordinal, a.variant_id"
        " HAVING b.state = 'canceled' OR coalesce(max(i.quantity), 0) < sum(a.quantity)"
        " + coalesce(max(w.every), 0) + CASE WHEN b.ordinal = 1 THEN coalesce(max(w.once), 0)"
        " ELSE 0 END",
    ),
    Invariant(
        "F24",
        "what was added to a box that is not sent went back, unless the bank has that money",
        "SELECT a.public_id FROM box_addition a JOIN invoice i ON i.id = a.invoice_id"
        " JOIN box_addition_box p ON p.addition_id = a.id AND p.returned_at IS NOT NULL"
        " WHERE NOT EXISTS (SELECT 1 FROM dispute d JOIN charge_attempt t ON t.id = d.attempt_id"
        " WHERE t.invoice_id = i.id AND d.amount_minor > 0 AND d.state <> 'won')"
        " GROUP BY a.id, a.public_id, i.credited_minor"
        " HAVING sum(p.gross_minor) > i.credited_minor",
    ),
    Invariant(
        "F12",
        "a replacement was paid for with the first box: it is worth nothing and earns nothing",
        "SELECT b.public_id FROM box b LEFT JOIN ledger_journal j ON j.kind = 'box_earned'"
        " AND j.event_ref = b.public_id"
        " WHERE b.kind = 'replacement' AND (j.id IS NOT NULL OR b.net_minor <> 0"
        " OR b.tax_minor <> 0 OR b.invoice_line_id IS NOT NULL)",
    ),
    Invariant(
        "F8",
        "a coupon's counter is the number of its counting uses",
        "SELECT c.public_id FROM coupon c LEFT JOIN redemption r ON r.coupon_id = c.id"
        " AND r.counts AND r.given_back_at IS NULL GROUP BY c.id, c.public_id, c.used"
        " HAVING count(r.id) > c.used",
    ),
    Invariant(
        "F8-codes",
        "a code's counter is not below the number of its counting uses",
        "SELECT c.code FROM promotion_code c JOIN redemption r ON r.promotion_code_id = c.id"
        " AND r.counts AND r.given_back_at IS NULL GROUP BY c.id, c.code, c.used"
        " HAVING count(r.id) > c.used",
    ),
    Invariant(
        "C1",
        "what is left of a customer's credit is what its records say",
        "SELECT c.customer_id FROM customer_credit c LEFT JOIN (SELECT customer_credit_id,"
        " sum(rest_minor) AS rest FROM credit_move GROUP BY customer_credit_id) m"
        " ON m.customer_credit_id = c.id WHERE coalesce(m.rest, 0) <> c.balance_minor",
    ),
    Invariant(
        "C2",
        "credit given is credit left and credit used",
        "SELECT m.id FROM credit_move m LEFT JOIN (SELECT credit_move_id, sum(amount_minor) AS used"
        " FROM credit_application WHERE given_back_at IS NULL GROUP BY credit_move_id) a"
        " ON a.credit_move_id = m.id WHERE coalesce(a.used, 0) + m.rest_minor <> m.amount_minor",
    ),
    Invariant(
        "C3",
        "credit used for an invoice is what the invoice says, less what of it went back",
        "SELECT i.public_id FROM invoice i LEFT JOIN (SELECT invoice_id, sum(amount_minor) AS used"
        " FROM credit_application WHERE given_back_at IS NULL GROUP BY invoice_id) a"
        " ON a.invoice_id = i.id LEFT JOIN (SELECT invoice_id, sum(total_minor) AS back"
        " FROM credit_note WHERE \"to\" <> 'open' GROUP BY invoice_id) n ON n.invoice_id = i.id"
        " WHERE coalesce(a.used, 0) <> i.applied_minor AND (i.paid_minor > 0"
        " OR coalesce(a.used, 0) < i.applied_minor"
        " OR coalesce(a.used, 0) - i.applied_minor > coalesce(n.back, 0))",
    ),
    Invariant(
        "N5",
        "whatever was charged while the customer was away had been agreed to",
        "SELECT a.public_id FROM charge_attempt a JOIN invoice_line l ON l.invoice_id ="
        " a.invoice_id WHERE a.sent_at IS NOT NULL AND l.subscription_id IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM consent c WHERE c.subscription_id = l.subscription_id)",
    ),
    Invariant(
        "MRR",
        "a subscription's monthly value is the sum of its movements",
        "SELECT s.public_id FROM subscription s LEFT JOIN movement m ON m.subscription_id = s.id"
        " GROUP BY s.id, s.public_id, s.mrr_minor"
        " HAVING coalesce(sum(m.delta_minor), 0) <> s.mrr_minor",
    ),
)
