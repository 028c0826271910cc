"""What must hold of payments, books and invoices, in SQL for both databases."""

from __future__ import annotations

from storefront.queries.invariant import Invariant

MONEY = (
    Invariant(
        "M1",
        "at most one payment settles an invoice, and every other one is sent back in full",
        "SELECT a.public_id FROM charge_attempt a WHERE a.state = 'succeeded' AND NOT a.settles"
        " AND a.refunded_minor <> a.amount_minor",
    ),
    Invariant(
        "M3",
        "an invoice has at most one open attempt",
        "SELECT invoice_id FROM charge_attempt WHERE state IN"
        " ('planned','sent','action_required','pending','unknown')"
        " GROUP BY invoice_id HAVING count(*) > 1",
    ),
    Invariant(
        "M6",
        "what settled an invoice is what was paid on it, in its currency",
        "SELECT i.public_id FROM invoice i JOIN charge_attempt a ON a.invoice_id = i.id"
        " AND a.settles WHERE a.currency <> i.currency"
        " OR i.paid_minor > a.amount_minor - a.carried_minor",
    ),
    Invariant(
        "M7",
        "refunds of a charge never exceed it",
        "SELECT a.public_id FROM charge_attempt a JOIN refund r ON r.attempt_id = a.id"
        " WHERE r.state NOT IN ('declined','abandoned') GROUP BY a.id, a.public_id, a.amount_minor"
        " HAVING sum(r.amount_minor) > a.amount_minor",
    ),
    Invariant(
        "L3",
        "what customers owe in the books is what their open invoices say",
        "SELECT 1 FROM (SELECT (SELECT coalesce(sum(amount_minor), 0) FROM ledger_transfer"
        " WHERE debit = 'receivable') - (SELECT coalesce(sum(amount_minor), 0)"
        " FROM ledger_transfer WHERE credit = 'receivable') AS booked, (SELECT"
        " coalesce(sum(due_minor), 0) FROM invoice WHERE number IS NOT NULL"
        " AND state <> 'uncollectible') AS owed) sums WHERE booked <> owed",
    ),
    Invariant(
        "L4",
        "every finalised invoice with an amount is booked once",
        "SELECT i.public_id FROM invoice i LEFT JOIN ledger_journal j ON j.event_ref = i.public_id"
        " AND j.kind = 'invoice_finalised' WHERE i.number IS NOT NULL AND i.total_minor > 0"
        " AND j.id IS NULL",
    ),
    Invariant(
        "L4-paid",
        "every payment that settled an invoice is booked once",
        "SELECT a.public_id FROM charge_attempt a LEFT JOIN ledger_journal j"
        " ON j.event_ref = a.public_id AND j.kind = 'invoice_paid'"
        " WHERE a.settles AND j.id IS NULL",
    ),
    Invariant(
        "L3-credit",
        "a customer's credit in the books is their balance and what waits on unpaid orders",
        "SELECT c.public_id FROM customer_credit k JOIN customer c ON c.id = k.customer_id"
        " LEFT JOIN (SELECT customer_id, currency, sum(CASE WHEN credit = 'customer_credit'"
        " THEN amount_minor ELSE -amount_minor END) AS booked FROM ledger_transfer"
        " WHERE debit = 'customer_credit' OR credit = 'customer_credit'"
        " GROUP BY customer_id, currency) t ON t.customer_id = k.customer_id"
        " AND t.currency = k.currency LEFT JOIN (SELECT i.payer_id, i.currency,"
        " sum(a.amount_minor) AS aside FROM credit_application a JOIN invoice i"
        " ON i.id = a.invoice_id WHERE i.number IS NULL AND a.given_back_at IS NULL"
        " GROUP BY i.payer_id, i.currency) o ON o.payer_id = k.customer_id"
        " AND o.currency = k.currency"
        " WHERE coalesce(t.booked, 0) <> k.balance_minor + coalesce(o.aside, 0)",
    ),
    Invariant(
        "L3-carried",
        "what is carried in the books is what waits to be asked for with a later invoice",
        "SELECT 1 FROM (SELECT (SELECT coalesce(sum(CASE WHEN debit = 'carried_balance'"
        " THEN amount_minor ELSE -amount_minor END), 0) FROM ledger_transfer"
        " WHERE debit = 'carried_balance' OR credit = 'carried_balance') AS booked,"
        " (SELECT coalesce(sum(amount_minor), 0) FROM carried_amount WHERE settled_at IS NULL)"
        " AS waiting) sums WHERE booked <> waiting",
    ),
    Invariant(
        "L3-refunds",
        "refunds due in the books are the refunds that have not reached the customer",
        "SELECT 1 FROM (SELECT (SELECT coalesce(sum(CASE WHEN credit = 'refunds_due'"
        " THEN amount_minor ELSE -amount_minor END), 0) FROM ledger_transfer"
        " WHERE debit = 'refunds_due' OR credit = 'refunds_due') AS booked,"
        " (SELECT coalesce(sum(amount_minor), 0) FROM refund"
        " WHERE state NOT IN ('succeeded','abandoned'))"
        " AS waiting) sums WHERE booked <> waiting",
    ),
    Invariant(
        "L-tax",
        "tax payable in the books is the tax of the invoices less that of their credit notes",
        "SELECT 1 FROM (SELECT (SELECT coalesce(sum(CASE WHEN credit = 'tax_payable'"
        " THEN amount_minor ELSE -amount_minor END), 0) FROM ledger_transfer"
        " WHERE debit = 'tax_payable' OR credit = 'tax_payable') AS booked,"
        " (SELECT coalesce(sum(tax_minor), 0) FROM invoice WHERE number IS NOT NULL)"
        " - (SELECT coalesce(sum(tax_minor), 0) FROM credit_note) AS said) sums"
        " WHERE booked <> said",
    ),
    Invariant(
        "L-deferred",
        "no period has deferred revenue below zero, nor any left once nothing of it is to come",
        "SELECT s.public_id FROM (SELECT period_id, sum(CASE WHEN credit = 'deferred_revenue'"
        " THEN amount_minor ELSE -amount_minor END) AS rest FROM ledger_transfer"
        " WHERE (debit = 'deferred_revenue' OR credit = 'deferred_revenue') GROUP BY period_id) d"
        " JOIN subscription_period p ON p.id = d.period_id"
        " JOIN subscription s ON s.id = p.subscription_id WHERE d.rest < 0 OR (d.rest > 0"
        " AND (p.state = 'void' OR (p.box_count = 0 AND p.earned_on = p.end_on)"
        " OR (p.state = 'paid' AND p.box_count > 0 AND NOT EXISTS (SELECT 1 FROM box b"
        " WHERE b.period_id = p.id AND b.kind = 'regular'"
        " AND b.state IN ('planned','held','locked','exported')))))",
    ),
    Invariant(
        "L4-carried",
        "a payment that asked for carried amounts settled exactly those",
        "SELECT a.public_id FROM charge_attempt a LEFT JOIN (SELECT attempt_id,"
        " sum(amount_minor) AS carried FROM carried_amount WHERE settled_at IS NOT NULL"
        " GROUP BY attempt_id) c ON c.attempt_id = a.id WHERE a.state = 'succeeded'"
        " AND coalesce(c.carried, 0) <> CASE WHEN a.settles THEN a.carried_minor ELSE 0 END",
    ),
    Invariant(
        "L4-back",
        "what goes back to a card for a credit note is the credit note's amount",
        "SELECT c.public_id FROM credit_note c LEFT JOIN (SELECT credit_note_id,"
        " sum(amount_minor) AS back FROM refund GROUP BY credit_note_id) r"
        " ON r.credit_note_id = c.id WHERE coalesce(r.back, 0) <> CASE WHEN c.\"to\" = 'card'"
        " THEN c.total_minor ELSE 0 END",
    ),
    Invariant(
        "L4-note",
        "every credit note with an amount is booked once",
        "SELECT c.public_id FROM credit_note c LEFT JOIN ledger_journal j"
        " ON j.event_ref = c.public_id AND j.kind = 'credit_note'"
        " WHERE c.total_minor > 0 AND j.id IS NULL",
    ),
    Invariant(
        "L4-refund",
        "every refund that reached the customer is booked once",
        "SELECT r.public_id FROM refund r LEFT JOIN ledger_journal j"
        " ON j.event_ref = r.public_id AND j.kind = 'refund_done'"
        " WHERE r.state = 'succeeded' AND j.id IS NULL",
    ),
    Invariant(
        "L4-returned",
        "a refund that came back had been booked as done before",
        "SELECT f.event_ref FROM ledger_journal f LEFT JOIN ledger_journal d"
        " ON d.event_ref = f.event_ref AND d.kind = 'refund_done'"
        " WHERE f.kind = 'refund_failed' AND d.id IS NULL",
    ),
    Invariant(
        "L-dispute",
        "dispute suspense in the books is what banks hold while they decide",
        "SELECT 1 FROM (SELECT (SELECT coalesce(sum(CASE WHEN debit = 'dispute_suspense'"
        " THEN amount_minor ELSE -amount_minor END), 0) FROM ledger_transfer"
        " WHERE debit = 'dispute_suspense' OR credit = 'dispute_suspense') AS booked,"
        " (SELECT coalesce(sum(amount_minor), 0) FROM dispute WHERE state = 'open')"
        " AS waiting) sums WHERE booked <> waiting",
    ),
    Invariant(
        "L4-dispute",
        "every dispute that took money is booked",
        "SELECT d.public_id FROM dispute d LEFT JOIN ledger_journal j ON j.event_ref ="
        " d.public_id AND j.kind IN ('dispute_opened','dispute_lost')"
        " WHERE d.amount_minor > 0 AND d.state <> 'won' AND j.id IS NULL",
    ),
    Invariant(
        "S-dispute",
        "while a bank decides, every subscription on the disputed invoice is held",
        "SELECT s.public_id FROM dispute d JOIN charge_attempt a ON a.id = d.attempt_id"
        " JOIN invoice_line l ON l.invoice_id = a.invoice_id"
        " JOIN subscription s ON s.id = l.subscription_id WHERE d.state = 'open'"
        " AND d.amount_minor > 0 AND d.resumed_at IS NULL AND s.held_at IS NULL"
        " AND s.state NOT IN ('canceled','expired')",
    ),
    Invariant(
        "L5",
        "a journal has one currency, that of its invoice, unless it books a surplus",
        "SELECT j.event_ref FROM ledger_transfer t JOIN ledger_journal j ON j.id = t.journal_id"
        " LEFT JOIN invoice i ON i.id = t.invoice_id AND j.kind NOT IN ('surplus','refund_done')"
        " GROUP BY j.id, j.event_ref"
        " HAVING min(t.currency) <> max(t.currency) OR min(coalesce(i.currency, t.currency))"
        " <> max(t.currency)",
    ),
    Invariant(
        "I2",
        "credit notes of an invoice sum to what is credited on it",
        "SELECT i.public_id FROM invoice i LEFT JOIN credit_note c ON c.invoice_id = i.id"
        " GROUP BY i.id, i.public_id, i.credited_minor"
        " HAVING coalesce(sum(c.total_minor), 0) <> i.credited_minor",
    ),
    Invariant(
        "I2-open",
        "an open invoice owes more than zero",
        "SELECT public_id FROM invoice WHERE state = 'open' AND due_minor <= 0",
    ),
    Invariant(
        "I3",
        "the numbers of a series, invoices and credit notes alike, have no gap",
        "SELECT series FROM (SELECT series, number FROM invoice WHERE number IS NOT NULL"
        " UNION ALL SELECT series, number FROM credit_note) n GROUP BY series"
        " HAVING max(number) - min(number) + 1 <> count(*)",
    ),
    Invariant(
        "I3-next",
        "the next number of a series follows its last",
        "SELECT s.code FROM number_series s JOIN (SELECT series, number FROM invoice"
        " WHERE number IS NOT NULL UNION ALL SELECT series, number FROM credit_note) n"
        " ON n.series = s.code GROUP BY s.code, s.next_number"
        " HAVING max(n.number) + 1 <> s.next_number",
    ),
    Invariant(
        "I3-draft",
        "a draft has no number, booking, payment, credit or case of dunning",
        "SELECT i.public_id FROM invoice i WHERE i.state = 'draft' AND (i.number IS NOT NULL"
        " OR EXISTS (SELECT 1 FROM ledger_journal j WHERE j.event_ref = i.public_id)"
        " OR EXISTS (SELECT 1 FROM charge_attempt a WHERE a.invoice_id = i.id)"
        " OR EXISTS (SELECT 1 FROM credit_application k WHERE k.invoice_id = i.id)"
        " OR EXISTS (SELECT 1 FROM dunning_case d WHERE d.invoice_id = i.id))",
    ),
    Invariant(
        "I5",
        "the periods of a subscription follow each other without gap or overlap",
        "SELECT subscription_id FROM (SELECT subscription_id, end_on, lead(start_on) OVER"
        " (PARTITION BY subscription_id ORDER BY number) AS following FROM subscription_period)"
        " tiles WHERE following IS NOT NULL AND following <> end_on",
    ),
    Invariant(
        "I5-next",
        "the next period of a running subscription begins where its last one ends",
        "SELECT s.public_id FROM subscription s JOIN subscription_period p"
        " ON p.subscription_id = s.id AND p.number = s.next_number - 1"
        " WHERE p.end_on <> s.next_on",
    ),
    Invariant(
        "I7",
        "an invoice's total and tax are the sums of its lines",
        "SELECT i.public_id FROM invoice i JOIN invoice_line l ON l.invoice_id = i.id"
        " GROUP BY i.id, i.public_id, i.total_minor, i.tax_minor"
        " HAVING sum(l.gross_minor) <> i.total_minor OR sum(l.tax_minor) <> i.tax_minor",
    ),
)
