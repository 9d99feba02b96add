"""Everything that speaks SQL: one function, one statement, one line on what it is for.

**Look-ups by key.** Hot tables grow from nothing to thousands of rows between two ANALYZEs, and a
planner that takes them for empty joins a batch of 200 by scanning: 520 ms on tables not analysed,
69 ms by look-ups while the machine was under load. Settings that steer the planner only move the
accident elsewhere. So statements on batches say what they mean: `LATERAL (SELECT … WHERE key = …
OFFSET 0)` is one index look-up for each row of the batch (`OFFSET 0` keeps the planner from
flattening it into a join), and what is deleted or updated is then found again by its `ctid`, which
cannot move while the slot's lock is held.
"""
