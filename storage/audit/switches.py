"""Kill switches: what an operator paused did not begin, and who paused it is known.

By numbers, not clocks: a switch keeps the last send and the last entry of the journal given out
before it, and its resume those given out until then. Both are read under the lock that starts and
commands hold, so a number in between was taken while the switch was on.

A clock only says where to look: what began after a pause has settled after it. So of the ledger's
months those are read that were not over a day before the first pause.
"""

from storage.audit.model import Check

_SINCE_THE_FIRST_PAUSE = """
    settled_at > (
        SELECT min(paused_at) - interval '1 day'
        FROM (SELECT paused_at FROM switches WHERE scope <> 'queue'
              UNION ALL
              SELECT CAST(data->>'paused_at' AS timestamptz) FROM journal
              WHERE event IN ('channel_resumed', 'template_resumed', 'account_resumed')) pauses)
"""
"""A day, because clocks may differ. The ledger is partitioned by this column."""

_STARTED_WHILE_SWITCHED_OFF = f"""
    WITH switched AS (
        SELECT account, scope, name, int8range(after_send, NULL, '(]') AS sends
        FROM switches WHERE scope <> 'queue'
        UNION ALL
        SELECT account, split_part(event, '_', 1), data->>'name',
               int8range(CAST(data->>'after_send' AS bigint), CAST(data->>'send' AS bigint), '(]')
        FROM journal WHERE event IN ('channel_resumed', 'template_resumed', 'account_resumed')
    ), forbidden AS (
        SELECT account, scope, name, range_agg(sends) AS sends
        FROM switched GROUP BY account, scope, name
    ), attempt AS (
        SELECT account, customer, send, channel, template, state FROM sends
        WHERE send IS NOT NULL AND {_SINCE_THE_FIRST_PAUSE}
        UNION ALL
        SELECT account, customer, send, channel, template, 'in progress' FROM started
    ), under AS (
        SELECT *, '' AS of, 'channel' AS scope, channel AS name FROM attempt
        UNION ALL SELECT *, account, 'channel', channel FROM attempt
        UNION ALL SELECT *, account, 'template', template FROM attempt
        UNION ALL SELECT *, account, 'account', account FROM attempt
    )
    SELECT u.account, u.customer,
           format('send %s (%s) began while %s %s was paused', u.send, u.state, u.scope, u.name)
               AS detail
    FROM under u JOIN forbidden f ON f.account = u.of AND f.scope = u.scope AND f.name = u.name
    WHERE u.send <@ f.sends
"""

_APPLIED_WHILE_PAUSED = """
    -- A pause of lifecycle is one of bulk too.
    WITH switched AS (
        SELECT name, int8range(after_entry, NULL, '(]') AS entries
        FROM switches WHERE scope = 'queue'
        UNION ALL
        SELECT data->>'name', int8range(CAST(data->>'after_entry' AS bigint),
                                        CAST(data->>'entry' AS bigint), '(]')
        FROM journal WHERE event = 'queue_resumed'
    )
    SELECT j.account, j.customer,
           format('command %s was applied while its queue was paused', c.command) AS detail
    FROM journal j JOIN commands c ON c.account = j.account AND c.seq = j.seq
    WHERE j.entry <@ (SELECT range_agg(entries) FROM switched WHERE name = 'lifecycle')
       OR (c.bulk AND j.entry <@ (SELECT range_agg(entries) FROM switched WHERE name = 'bulk'))
"""

_SWITCH_UNJOURNALED = """
    -- Only of a journal that reaches back to before the pause: it is pruned from its beginning.
    SELECT w.account, CAST(NULL AS text) AS customer,
           format('%s %s is paused since %s, and the journal does not say by whom', w.scope, w.name,
                  w.paused_at) AS detail
    FROM switches w
    WHERE w.after_entry >= (SELECT min(entry) FROM journal)
      AND NOT EXISTS (SELECT 1 FROM journal j
                      WHERE j.account = w.account AND j.event = w.scope || '_paused'
                        AND j.data->>'name' = w.name AND j.entry > w.after_entry)
"""

SWITCHES = (
    Check(
        "G1",
        "started_while_switched_off",
        "Did no send begin while its channel, template or account was paused by an operator?",
        "sends",
        _STARTED_WHILE_SWITCHED_OFF,
        "Stop the delivery processes and keep the database as it is: this is a defect of the "
        "engine, or an older version still runs. Report it with `layby explain CUSTOMER`.",
        among=_SINCE_THE_FIRST_PAUSE,
    ),
    Check(
        "G7",
        "applied_while_paused",
        "Was no command applied while its queue was paused by an operator?",
        "journal",
        _APPLIED_WHILE_PAUSED,
        "Does an older version's lifecycle process still run? Stop it, and report it.",
    ),
    Check(
        "bookkeeping",
        "switch_unjournaled",
        "Is everything that is paused by an operator in the journal?",
        "switches",
        _SWITCH_UNJOURNALED,
        "Find out who wrote to the table by hand; `layby resume` it, and `layby pause` it again.",
    ),
)
