-- Times are milliseconds since 1970. `body` holds the whole object as JSON; the other columns are what queries use.
CREATE TABLE run (
  id         TEXT PRIMARY KEY,
  kind       TEXT NOT NULL,
  job        TEXT NOT NULL,
  status     TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  ended_at   INTEGER,
  -- The process that works on it, as base/process-identity.ts tells it.
  owner      TEXT NOT NULL,
  body       TEXT NOT NULL
) STRICT;
CREATE INDEX run_by_job ON run (job, created_at DESC);
CREATE INDEX run_by_time ON run (created_at DESC);
CREATE INDEX run_by_status ON run (status);

-- A cache of what the vaults hold; `connect` fills it again.
CREATE TABLE backup (
  vault TEXT NOT NULL,
  id    TEXT NOT NULL,
  job   TEXT NOT NULL,
  time  INTEGER NOT NULL,
  body  TEXT NOT NULL,
  PRIMARY KEY (vault, id)
) STRICT;
CREATE INDEX backup_by_job ON backup (job, time);

-- Who works on what. A row whose owner is dead or silent counts for nothing.
CREATE TABLE lease (
  name       TEXT PRIMARY KEY,
  token      TEXT NOT NULL,
  owner      TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE state (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
