-- What is wrong until it is right again. `subject` is kind, job and vault; one of each is open at a time.
CREATE TABLE incident (
  id        TEXT PRIMARY KEY,
  subject   TEXT NOT NULL,
  job       TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  closed_at INTEGER,
  body      TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX incident_open ON incident (subject) WHERE closed_at IS NULL;
CREATE INDEX incident_by_time ON incident (opened_at DESC);
