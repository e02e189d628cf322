-- Jobs, vaults and notifiers that were made by the API; those of the configuration file are not here. `body` is sealed.
CREATE TABLE definition (
  kind       TEXT NOT NULL,
  name       TEXT NOT NULL,
  id         TEXT NOT NULL UNIQUE,
  version    INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  body       BLOB NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- `secret` holds what signs in, sealed; the hashes of passwords and codes are in it too.
CREATE TABLE user (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL COLLATE NOCASE UNIQUE,
  role       TEXT NOT NULL,
  disabled   INTEGER NOT NULL,
  subject    TEXT UNIQUE,
  created_at INTEGER NOT NULL,
  seen_at    INTEGER,
  secret     BLOB NOT NULL
) STRICT;

-- `hash` is the SHA-256 of what the browser or the program shows.
CREATE TABLE session (
  hash       TEXT PRIMARY KEY,
  user       TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  agent      TEXT NOT NULL,
  address    TEXT NOT NULL
) STRICT;
CREATE INDEX session_by_user ON session (user);

CREATE TABLE token (
  id         TEXT PRIMARY KEY,
  hash       TEXT NOT NULL UNIQUE,
  user       TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
  name       TEXT NOT NULL,
  scopes     TEXT NOT NULL,
  ending     TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  used_at    INTEGER
) STRICT;
CREATE INDEX token_by_user ON token (user);

-- Failed attempts to sign in, by account and by address.
CREATE TABLE attempt (
  subject TEXT NOT NULL,
  at      INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_by_subject ON attempt (subject, at);

-- Nothing is ever changed or deleted here: each row holds the hash of the one before.
CREATE TABLE audit (
  id      INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  actor   TEXT NOT NULL,
  action  TEXT NOT NULL,
  object  TEXT NOT NULL,
  detail  TEXT NOT NULL,
  address TEXT,
  hash    TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- The first answer to a call with an Idempotency-Key.
CREATE TABLE answer (
  actor      TEXT NOT NULL,
  key        TEXT NOT NULL,
  request    TEXT NOT NULL,
  at         INTEGER NOT NULL,
  status     INTEGER NOT NULL,
  body       TEXT NOT NULL,
  PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;

-- What changed, for those who listen; written by the triggers below, so that no process can forget it. Who reads an event
-- looks up what it is about: of several for one thing that come in a row, the newest is enough.
CREATE TABLE event (
  id   INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL,
  key  TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_key ON event (key, type);

CREATE TRIGGER run_made AFTER INSERT ON run BEGIN
  INSERT INTO event (type, key) VALUES ('run.created', NEW.id);
END;
CREATE TRIGGER run_changed AFTER UPDATE OF body ON run BEGIN
  DELETE FROM event WHERE key = NEW.id AND type = 'run.progress';
  INSERT INTO event (type, key) VALUES (
    CASE WHEN NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL THEN 'run.finished'
         WHEN NEW.status <> OLD.status OR json_array_length(NEW.body, '$.stages') <> json_array_length(OLD.body, '$.stages')
           THEN 'run.stage'
         ELSE 'run.progress' END, NEW.id);
END;
CREATE TRIGGER backup_made AFTER INSERT ON backup BEGIN
  INSERT INTO event (type, key) VALUES ('backup.added', NEW.vault || char(10) || NEW.id);
END;
CREATE TRIGGER backup_changed AFTER UPDATE ON backup BEGIN
  INSERT INTO event (type, key) VALUES ('backup.added', NEW.vault || char(10) || NEW.id);
END;
CREATE TRIGGER backup_gone AFTER DELETE ON backup BEGIN
  INSERT INTO event (type, key) VALUES ('backup.removed', OLD.vault || char(10) || OLD.id);
END;
CREATE TRIGGER alert_made AFTER INSERT ON incident BEGIN
  INSERT INTO event (type, key) VALUES ('alert.opened', NEW.id);
END;
CREATE TRIGGER alert_changed AFTER UPDATE ON incident BEGIN
  INSERT INTO event (type, key) VALUES (
    CASE WHEN NEW.closed_at IS NOT NULL AND OLD.closed_at IS NULL THEN 'alert.closed' ELSE 'alert.changed' END, NEW.id);
END;
CREATE TRIGGER pause_changed AFTER UPDATE OF paused_until ON recurrence_state
  WHEN NEW.paused_until IS NOT OLD.paused_until BEGIN
  INSERT INTO event (type, key) VALUES ('job.changed', rtrim(NEW.name, replace(NEW.name, '/', '')));
END;
CREATE TRIGGER pause_made AFTER INSERT ON recurrence_state WHEN NEW.paused_until IS NOT NULL BEGIN
  INSERT INTO event (type, key) VALUES ('job.changed', rtrim(NEW.name, replace(NEW.name, '/', '')));
END;
CREATE TRIGGER usage_made AFTER INSERT ON usage BEGIN
  INSERT INTO event (type, key) VALUES ('vault.changed', NEW.vault);
END;
CREATE TRIGGER definition_made AFTER INSERT ON definition BEGIN
  INSERT INTO event (type, key) VALUES (NEW.kind || '.changed', NEW.name);
END;
CREATE TRIGGER definition_changed AFTER UPDATE ON definition BEGIN
  INSERT INTO event (type, key) VALUES (NEW.kind || '.changed', NEW.name);
END;
CREATE TRIGGER definition_gone AFTER DELETE ON definition BEGIN
  INSERT INTO event (type, key) VALUES (OLD.kind || '.changed', OLD.name);
END;

-- What a task is to do beyond its kind, sealed: it may hold the password of a restore's target.
ALTER TABLE task ADD COLUMN options BLOB;
