"""G2, places and slots; G6, the plan's counters; and what the rows say of each other."""

from storage.audit.model import Check

_SLOT_IFF_ACTIVE = """
    -- The key forbids a slot without its customer's place; nothing forbids a place without slot.
    SELECT account, customer,
           CASE WHEN s.slot IS NULL THEN 'active, without a slot'
                ELSE format('holds slot %s and is %s', s.slot, coalesce('in ' || c.place, 'gone'))
           END AS detail
    FROM customers c FULL JOIN slots s USING (account, customer)
    WHERE (c.place IS NOT DISTINCT FROM 'active') <> (s.slot IS NOT NULL)
"""

_ENROLLED_WITHOUT_SLOT = """
    -- A live enrolment is one of the customer's own slot, so never of a parked customer.
    SELECT e.account, e.customer,
           format('enrolment %s on %s is live under slot %s, which the customer (%s) does not have',
                  e.enrolment, e.schedule, e.slot, coalesce(c.place, 'gone')) AS detail
    FROM enrolments e
    LEFT JOIN customers c ON c.account = e.account AND c.customer = e.customer
    LEFT JOIN slots s ON s.account = e.account AND s.slot = e.slot AND s.customer = e.customer
    WHERE e.slot IS NOT NULL AND s.slot IS NULL
"""

_COUNTERS = """
    -- Counts of rows are never negative, so that a counter that equals one is not either.
    SELECT account, CAST(NULL AS text) AS customer,
           format('counted %s active and %s in the directory; there are %s and %s',
                  coalesce(CAST(k.active AS text), 'no'),
                  coalesce(CAST(k.directory AS text), 'no'),
                  coalesce(n.active, 0), coalesce(n.directory, 0)) AS detail
    FROM accounts a LEFT JOIN counters k USING (account)
    LEFT JOIN (SELECT account, count(*) FILTER (WHERE place = 'active') AS active,
                      count(*) FILTER (WHERE place <> 'active') AS directory
               FROM customers GROUP BY account) n USING (account)
    WHERE (k.active, k.directory)
          IS DISTINCT FROM (coalesce(n.active, 0), coalesce(n.directory, 0))
"""

_BELONGS = """
    -- No foreign keys here, for they outlive slots and are partitioned: so it is asked.
    SELECT r.account, r.customer,
           format('%s holds step %s of enrolment %s, which %s', r.held_by, r.step + 1, r.enrolment,
                  coalesce('is of customer ' || e.customer, 'does not exist')) AS detail
    FROM (SELECT account, customer, enrolment, step, 'the ledger' AS held_by FROM sends
          UNION ALL
          SELECT account, customer, enrolment, step, 'started' FROM started
          UNION ALL
          SELECT account, customer, enrolment, step, 'deferrals' FROM deferrals) r
    LEFT JOIN enrolments e ON e.account = r.account AND e.enrolment = r.enrolment
    WHERE e.customer IS DISTINCT FROM r.customer
"""

PLACES = (
    Check(
        "G2",
        "slot_iff_active",
        "Does each active customer have a slot, and nobody else?",
        "customers",
        _SLOT_IFF_ACTIVE,
        "Find out who wrote to the tables by hand. A slot too many: stop delivery and delete it "
        "with all that hangs from it. One too few: insert it before any command for the customer "
        "is sent, for a move counts on it.",
    ),
    Check(
        "G2",
        "enrolled_without_slot",
        "Is every live schedule one of an active customer's own slot?",
        "enrolments",
        _ENROLLED_WITHOUT_SLOT,
        "Stop delivery, find out who switched the foreign keys off, and end the enrolment.",
    ),
)

COUNTERS = (
    Check(
        "G6",
        "counters_equal_counts",
        "Do the plan's counters equal the customers in each place?",
        "accounts",
        _COUNTERS,
        "With no lifecycle process running, set the account's counters to the counts, and report "
        "it: places were given out, or refused, wrongly since.",
    ),
)

BOOKKEEPING = (
    Check(
        "bookkeeping",
        "belongs_to_enrolment",
        "Does every send belong to an enrolment of the same customer?",
        "sends",
        _BELONGS,
        "Find out who wrote to the tables by hand: a send without its enrolment can't be settled, "
        "or explained.",
    ),
)
