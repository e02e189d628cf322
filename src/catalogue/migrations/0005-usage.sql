-- What a vault took, measured once a day at most.
CREATE TABLE usage (
  vault   TEXT NOT NULL,
  at      INTEGER NOT NULL,
  bytes   INTEGER NOT NULL,
  objects INTEGER NOT NULL,
  free    INTEGER,
  PRIMARY KEY (vault, at)
) STRICT, WITHOUT ROWID;
