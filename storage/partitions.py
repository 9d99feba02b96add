"""The ledger's partitions: one a month, made ahead, so that the past never slows the present."""

from sqlalchemy import Connection, text

_MONTHS_AHEAD = 3


def make_partitions(connection: Connection) -> None:
    """Make this month's partition and the coming ones; those that exist stay as they are.

    Rows of a month without one go to `sends_default`, so that a clock that jumps loses nothing.
    There that month stays: none can be made over its rows, and to move them could take long.
    A new one locks the ledger for a moment; behind a long reader it gives up, and settling goes on.
    """
    connection.execute(text("SET LOCAL lock_timeout = '2s'"))
    connection.execute(
        text(
            """
            DO $$
            DECLARE month timestamptz; after timestamptz; name text;
            BEGIN
              FOR ahead IN 0..:months LOOP
                month := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
                month := ((month AT TIME ZONE 'UTC') + make_interval(months => ahead))
                         AT TIME ZONE 'UTC';
                after := ((month AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
                name := 'sends_' || to_char(month AT TIME ZONE 'UTC', 'YYYYMM');
                -- Looked at before the lock and under it: the first look is the long one.
                CONTINUE WHEN to_regclass(name) IS NOT NULL OR EXISTS
                    (SELECT 1 FROM sends_default WHERE settled_at >= month AND settled_at < after);
                LOCK TABLE ONLY sends IN ACCESS EXCLUSIVE MODE;
                CONTINUE WHEN EXISTS
                    (SELECT 1 FROM sends_default WHERE settled_at >= month AND settled_at < after);
                EXECUTE format(
                  'CREATE TABLE %I PARTITION OF sends FOR VALUES FROM (%L) TO (%L)', name, month,
                  after);
              END LOOP;
            END $$
            """.replace(":months", str(_MONTHS_AHEAD))
        )
    )
