"""What must hold of the tables at any moment, in plain SQL: each query finds what breaks it."""

from sqlalchemy import text

from storage.database import Engine

INVARIANTS: dict[str, str] = {
    "G1 nothing is pending for a customer who is not active, or is paused": """
        SELECT p.customer, p.enrolment FROM pending p
        JOIN customers c USING (account, customer)
        LEFT JOIN slots s ON s.account = p.account AND s.customer = p.customer
        WHERE c.place <> 'active' OR s.slot IS NULL OR s.paused_at IS NOT NULL
    """,
    "G1 what is reported quiet has nothing in progress": """
        SELECT t.customer, t.seq, s.send FROM command_targets t
        JOIN started s ON s.account = t.account AND s.customer = t.customer
                      AND s.send = ANY(t.open)
        WHERE t.quiet_at IS NOT NULL
    """,
    "G1 whatever is in progress for a silent customer was reported as started": """
        SELECT s.customer, s.send FROM started s
        JOIN customers c USING (account, customer)
        LEFT JOIN slots l ON l.account = s.account AND l.customer = s.customer
        WHERE (c.place <> 'active' OR l.paused_at IS NOT NULL)
          AND NOT EXISTS (SELECT 1 FROM command_targets t
                          WHERE t.account = s.account AND t.customer = s.customer
                            AND s.send = ANY(t.open))
    """,
    "G1 nothing is pending of a schedule that its customer is silenced for by every channel": """
        SELECT p.customer, p.enrolment FROM pending p JOIN enrolments e USING (account, enrolment)
        JOIN schedule_versions v USING (account, schedule, version)
        WHERE NOT EXISTS (
            SELECT 1 FROM jsonb_array_elements(v.definition->'steps') AS one
            WHERE NOT EXISTS (
                SELECT 1 FROM suppressions x WHERE x.account = p.account AND x.aim = 'customer'
                  AND x.target = p.customer AND x.channel = one->>'channel'
                  AND x.schedule IN ('', e.schedule)))
    """,
    "G1 whatever is in progress for who is silenced was reported as started": """
        SELECT s.customer, s.send FROM started s JOIN enrolments e USING (account, enrolment)
        JOIN suppressions x ON x.account = s.account AND x.aim = 'customer'
             AND x.target = s.customer AND x.channel = s.channel AND x.schedule IN ('', e.schedule)
        WHERE NOT EXISTS (SELECT 1 FROM command_targets t
                          WHERE t.account = s.account AND t.customer = s.customer
                            AND s.send = ANY(t.open))
    """,
    "G2 a customer has a slot if and only if it is active": """
        SELECT c.customer, c.place, s.slot FROM customers c
        LEFT JOIN slots s USING (account, customer)
        WHERE (c.place = 'active') <> (s.slot IS NOT NULL)
    """,
    "G2 what is pending agrees with its enrolment": """
        SELECT p.enrolment FROM pending p LEFT JOIN enrolments e USING (account, enrolment)
        WHERE e.enrolment IS NULL OR e.slot IS DISTINCT FROM p.slot OR e.customer <> p.customer
           OR e.step <> p.step OR e.held IS NOT NULL
    """,
    "G2 a live enrolment hangs from a slot of its customer": """
        SELECT e.enrolment FROM enrolments e LEFT JOIN slots s USING (account, slot)
        WHERE e.slot IS NOT NULL AND s.customer IS DISTINCT FROM e.customer
    """,
    "G2 an enrolment is held if and only if a pause or a mark holds it": """
        SELECT e.enrolment, e.held FROM enrolments e JOIN slots s USING (account, slot)
        JOIN schedule_versions v USING (account, schedule, version)
        WHERE (e.held IS NOT NULL) <> (s.paused_at IS NOT NULL OR EXISTS (
            SELECT 1 FROM marks m WHERE m.account = e.account AND m.slot = e.slot
              AND coalesce(m.reference, e.reference) = e.reference
              AND m.mark IN (SELECT jsonb_array_elements_text(coalesce(v.definition->'holds',
                                '["disputed", "promised", "replied"]')))))
    """,
    "G2 a mark stands on a slot that is there": """
        SELECT m.number FROM marks m LEFT JOIN slots s USING (account, slot) WHERE s.slot IS NULL
    """,
    "G3 nothing is pending but for a live enrolment of a live slot": """
        SELECT p.enrolment FROM pending p WHERE NOT EXISTS (
            SELECT 1 FROM enrolments e JOIN slots s USING (account, slot)
            WHERE e.account = p.account AND e.enrolment = p.enrolment AND e.slot = p.slot)
    """,
    "G4 a step has one outcome, and is not pending or started beside it": """
        SELECT account, enrolment, step, array_agg(state) AS states FROM (
            SELECT account, enrolment, step, state FROM sends
            UNION ALL SELECT account, enrolment, step, 'pending' FROM pending
            UNION ALL SELECT account, enrolment, step, 'started' FROM started
        ) AS everywhere GROUP BY 1, 2, 3 HAVING count(*) > 1
    """,
    "G4 an attempt is settled once": """
        SELECT account, send FROM sends WHERE send IS NOT NULL
        GROUP BY 1, 2 HAVING count(*) > 1
    """,
    "G5 a live enrolment has one send ahead, unless it is held": """
        SELECT e.enrolment, e.held, p.step, s.step FROM enrolments e
        LEFT JOIN pending p USING (account, enrolment)
        LEFT JOIN started s ON s.account = e.account AND s.enrolment = e.enrolment
        WHERE e.slot IS NOT NULL
          AND num_nonnulls(p.step, s.step) <> CASE WHEN e.held IS NULL THEN 1
                                                   ELSE num_nonnulls(s.step) END
    """,
    "G5 what is started is the present step of its enrolment": """
        SELECT s.send FROM started s JOIN enrolments e USING (account, enrolment)
        WHERE s.step <> e.step
    """,
    "G5 each step before the cursor has its outcome": """
        SELECT e.enrolment, n FROM enrolments e, generate_series(0, e.step - 1) AS n
        WHERE NOT EXISTS (SELECT 1 FROM sends s WHERE s.account = e.account
                          AND s.enrolment = e.enrolment AND s.step = n)
    """,
    "G5 no step after the cursor has one": """
        SELECT s.enrolment, s.step FROM sends s JOIN enrolments e USING (account, enrolment)
        WHERE s.step > e.step OR (s.step = e.step AND e.slot IS NOT NULL)
    """,
    "G5 an ended enrolment is accounted for": """
        SELECT e.enrolment, e.step, e.end_reason FROM enrolments e
        JOIN schedule_versions v USING (account, schedule, version)
        WHERE e.slot IS NULL AND CASE
            WHEN e.end_reason = 'completed'
                THEN e.step <> coalesce(v.length, jsonb_array_length(v.definition->'steps'))
            ELSE (SELECT count(*) FROM sends s WHERE s.account = e.account
                  AND s.enrolment = e.enrolment AND s.step = e.step)
               + (SELECT count(*) FROM started s WHERE s.account = e.account
                  AND s.enrolment = e.enrolment) <> 1 END
    """,
    "G6 the counters are the number of customers": """
        SELECT n.account, n.active, n.directory FROM counters n WHERE (n.active, n.directory) <> (
            SELECT count(*) FILTER (WHERE place = 'active'),
                   count(*) FILTER (WHERE place <> 'active')
            FROM customers c WHERE c.account = n.account)
    """,
    "G7 an outcome counts its lines": """
        SELECT c.command, c.state, c.targets, c.applied, c.refused, c.superseded
        FROM commands c CROSS JOIN LATERAL (
            SELECT count(*) AS targets, count(*) FILTER (WHERE state = 'applied') AS applied,
                   count(*) FILTER (WHERE state = 'refused') AS refused,
                   count(*) FILTER (WHERE state = 'superseded') AS superseded,
                   count(*) FILTER (WHERE state = 'waiting') AS waiting
            FROM command_targets t WHERE t.account = c.account AND t.seq = c.seq) n
        WHERE (CASE WHEN c.listed IS NULL THEN c.targets ELSE greatest(n.targets, c.targets) END,
               c.applied, c.refused, c.superseded)
              <> (CASE WHEN c.listed IS NULL THEN n.targets ELSE c.targets END,
                  n.applied, n.refused, n.superseded)
           OR (c.targets > 0 AND c.state <> 'quarantined' AND c.state <> CASE
                WHEN n.waiting > 0 OR (c.bulk AND c.resolved_at IS NULL) THEN 'accepted'
                WHEN n.applied = n.targets THEN 'applied'
                WHEN n.applied > 0 THEN 'partly' WHEN n.superseded = n.targets THEN 'superseded'
                ELSE 'refused' END)
           OR (c.state IN ('accepted', 'quarantined')) <> (c.done_at IS NULL)
    """,
}

NOTHING_WAITS = "SELECT account, customer, seq FROM command_targets WHERE state = 'waiting'"
"""Once every accepted command has been applied."""


def broken(engine: Engine, account: str | None = None) -> dict[str, list[str]]:
    """The invariants that do not hold now, with the rows that show it; of one account, or of all.

    One statement, so that all are asked of the same moment.
    """
    found: dict[str, list[str]] = {}
    with engine.connect() as connection:
        for name, row in connection.execute(_ALL, {"account": account}):
            found.setdefault(name, []).append(row)
    return found


_TABLES = (
    *("customers", "slots", "enrolments", "pending", "started", "sends", "counters"),
    *("commands", "command_targets", "suppressions", "schedule_versions", "marks"),
)
_ALL = text(
    "WITH "
    + ", ".join(
        f"{table} AS MATERIALIZED (SELECT * FROM public.{table} "
        "WHERE CAST(:account AS text) IS NULL OR account = :account)"
        for table in _TABLES
    )
    + " UNION ALL ".join(
        f"\nSELECT '{name}' AS name, to_jsonb(found)::text AS row FROM ({query}) AS found"
        for name, query in INVARIANTS.items()
    )
)
