-- Schedules that were added at the command line; those of the configuration are not here. `body` is the whole as JSON.
CREATE TABLE recurrence (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT;

-- How far the scheduler has come with each schedule, and whether it is paused.
CREATE TABLE recurrence_state (
  name         TEXT PRIMARY KEY,
  cursor       INTEGER NOT NULL,
  spec         TEXT NOT NULL,
  paused_until INTEGER,
  pause_reason TEXT
) STRICT;

-- The ledger: every due time once, with what became of it.
CREATE TABLE slot (
  recurrence TEXT NOT NULL,
  due        INTEGER NOT NULL,
  job        TEXT NOT NULL,
  state      TEXT NOT NULL,
  reason     TEXT,
  run        TEXT,
  PRIMARY KEY (recurrence, due)
) STRICT, WITHOUT ROWID;
CREATE INDEX slot_by_due ON slot (due);

-- Runs to be made. A claim counts as long as its owner lives and renews the lease.
CREATE TABLE task (
  id          TEXT PRIMARY KEY,
  job         TEXT NOT NULL,
  recurrence  TEXT,
  due         INTEGER NOT NULL,
  not_before  INTEGER NOT NULL,
  state       TEXT NOT NULL,
  run         TEXT NOT NULL,
  token       TEXT,
  owner       TEXT,
  lease_until INTEGER,
  ended_at    INTEGER,
  body        TEXT NOT NULL
) STRICT;
CREATE INDEX task_waiting ON task (not_before, id) WHERE state = 'queued';
CREATE INDEX task_claimed ON task (job) WHERE state = 'claimed';
CREATE INDEX task_by_run ON task (run);
CREATE INDEX task_by_recurrence ON task (recurrence) WHERE state <> 'done';
