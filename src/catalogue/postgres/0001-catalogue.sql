-- The catalogue as migrations/ makes it in SQLite, step 0007. Times are milliseconds since 1970. Text is compared by its
-- bytes. `json_text` and its operator read JSON as SQLite does, so that the same statements serve both.
CREATE FUNCTION json_text(document TEXT, path TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
  $$ SELECT document::json #>> string_to_array(regexp_replace(path, '^\$\.', ''), '.') $$;
CREATE OPERATOR ->> (LEFTARG = TEXT, RIGHTARG = TEXT, FUNCTION = json_text);
CREATE FUNCTION json_each(document TEXT, path TEXT) RETURNS TABLE (value TEXT) LANGUAGE sql IMMUTABLE STRICT AS
  $$ SELECT json_array_elements_text(document::json #> string_to_array(regexp_replace(path, '^\$\.', ''), '.')) $$;

CREATE TABLE run (
  id         TEXT COLLATE "C" PRIMARY KEY,
  kind       TEXT COLLATE "C" NOT NULL,
  job        TEXT COLLATE "C" NOT NULL,
  status     TEXT COLLATE "C" NOT NULL,
  created_at BIGINT NOT NULL,
  ended_at   BIGINT,
  owner      TEXT NOT NULL,
  body       TEXT NOT NULL,
  cancel     TEXT
);
CREATE INDEX run_by_job ON run (job, created_at DESC);
CREATE INDEX run_by_time ON run (created_at DESC);
CREATE INDEX run_by_status ON run (status);

CREATE TABLE backup (
  vault TEXT COLLATE "C" NOT NULL,
  id    TEXT COLLATE "C" NOT NULL,
  job   TEXT COLLATE "C" NOT NULL,
  time  BIGINT NOT NULL,
  body  TEXT NOT NULL,
  PRIMARY KEY (vault, id)
);
CREATE INDEX backup_by_job ON backup (job, time);

CREATE TABLE lease (
  name       TEXT COLLATE "C" PRIMARY KEY,
  token      TEXT COLLATE "C" NOT NULL,
  owner      TEXT NOT NULL,
  expires_at BIGINT NOT NULL
);

CREATE TABLE state (
  key   TEXT COLLATE "C" PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE recurrence (
  name TEXT COLLATE "C" PRIMARY KEY,
  body TEXT NOT NULL
);

CREATE TABLE recurrence_state (
  name         TEXT COLLATE "C" PRIMARY KEY,
  cursor       BIGINT NOT NULL,
  spec         TEXT NOT NULL,
  paused_until BIGINT,
  pause_reason TEXT
);

CREATE TABLE slot (
  recurrence TEXT COLLATE "C" NOT NULL,
  due        BIGINT NOT NULL,
  job        TEXT COLLATE "C" NOT NULL,
  state      TEXT COLLATE "C" NOT NULL,
  reason     TEXT,
  run        TEXT COLLATE "C",
  PRIMARY KEY (recurrence, due)
);
CREATE INDEX slot_by_due ON slot (due);

CREATE TABLE task (
  id          TEXT COLLATE "C" PRIMARY KEY,
  job         TEXT COLLATE "C" NOT NULL,
  recurrence  TEXT COLLATE "C",
  due         BIGINT NOT NULL,
  not_before  BIGINT NOT NULL,
  state       TEXT COLLATE "C" NOT NULL,
  run         TEXT COLLATE "C" NOT NULL,
  token       TEXT COLLATE "C",
  owner       TEXT,
  lease_until BIGINT,
  ended_at    BIGINT,
  body        TEXT NOT NULL,
  options     BYTEA
);
CREATE INDEX task_waiting ON task (not_before, id) WHERE state = 'queued';
CREATE INDEX task_claimed ON task (job) WHERE state = 'claimed';
CREATE INDEX task_by_run ON task (run);
CREATE INDEX task_by_recurrence ON task (recurrence) WHERE state <> 'done';
CREATE INDEX task_by_end ON task (ended_at) WHERE state = 'done';

CREATE TABLE incident (
  id        TEXT COLLATE "C" PRIMARY KEY,
  subject   TEXT COLLATE "C" NOT NULL,
  job       TEXT COLLATE "C" NOT NULL,
  opened_at BIGINT NOT NULL,
  closed_at BIGINT,
  body      TEXT NOT NULL
);
CREATE UNIQUE INDEX incident_open ON incident (subject) WHERE closed_at IS NULL;
CREATE INDEX incident_by_time ON incident (opened_at DESC);

CREATE TABLE usage (
  vault   TEXT COLLATE "C" NOT NULL,
  at      BIGINT NOT NULL,
  bytes   BIGINT NOT NULL,
  objects BIGINT NOT NULL,
  free    BIGINT,
  PRIMARY KEY (vault, at)
);

CREATE TABLE definition (
  kind       TEXT COLLATE "C" NOT NULL,
  name       TEXT COLLATE "C" NOT NULL,
  id         TEXT COLLATE "C" NOT NULL UNIQUE,
  version    BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  body       BYTEA NOT NULL,
  PRIMARY KEY (kind, name)
);

CREATE TABLE "user" (
  id         TEXT COLLATE "C" PRIMARY KEY,
  name       TEXT COLLATE "C" NOT NULL,
  role       TEXT NOT NULL,
  disabled   BIGINT NOT NULL,
  subject    TEXT COLLATE "C" UNIQUE,
  created_at BIGINT NOT NULL,
  seen_at    BIGINT,
  secret     BYTEA NOT NULL
);
CREATE UNIQUE INDEX user_by_name ON "user" (lower(name));

CREATE TABLE session (
  hash       TEXT COLLATE "C" PRIMARY KEY,
  "user"     TEXT COLLATE "C" NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  seen_at    BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  agent      TEXT NOT NULL,
  address    TEXT NOT NULL
);
CREATE INDEX session_by_user ON session ("user");

CREATE TABLE token (
  id         TEXT COLLATE "C" PRIMARY KEY,
  hash       TEXT COLLATE "C" NOT NULL UNIQUE,
  "user"     TEXT COLLATE "C" NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
  name       TEXT NOT NULL,
  scopes     TEXT NOT NULL,
  ending     TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  used_at    BIGINT
);
CREATE INDEX token_by_user ON token ("user");

-- Two of one moment are told apart by `rowid`, as SQLite does by itself.
CREATE TABLE attempt (
  rowid   BIGSERIAL PRIMARY KEY,
  subject TEXT COLLATE "C" NOT NULL,
  at      BIGINT NOT NULL
);
CREATE INDEX attempt_by_subject ON attempt (subject, at);

CREATE TABLE audit (
  id      BIGINT PRIMARY KEY,
  at      BIGINT NOT NULL,
  actor   TEXT COLLATE "C" NOT NULL,
  action  TEXT COLLATE "C" NOT NULL,
  object  TEXT NOT NULL,
  detail  TEXT NOT NULL,
  address TEXT,
  hash    TEXT NOT NULL
);
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();

CREATE TABLE answer (
  actor   TEXT COLLATE "C" NOT NULL,
  key     TEXT COLLATE "C" NOT NULL,
  request TEXT NOT NULL,
  at      BIGINT NOT NULL,
  status  BIGINT NOT NULL,
  body    TEXT NOT NULL,
  headers TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (actor, key)
);

-- Who writes holds the lock of the writers: numbers are seen in their order.
CREATE TABLE event (
  id   BIGSERIAL PRIMARY KEY,
  type TEXT COLLATE "C" NOT NULL,
  key  TEXT COLLATE "C" NOT NULL
);
CREATE INDEX event_by_key ON event (key, type);

CREATE FUNCTION tell_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO event (type, key) VALUES ('run.created', NEW.id);
    RETURN NULL;
  END IF;
  DELETE FROM event WHERE key = NEW.id AND type = 'run.progress';
  INSERT INTO event (type, key) VALUES (
    CASE WHEN NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL THEN 'run.finished'
         WHEN NEW.status <> OLD.status
           OR json_array_length(NEW.body::json -> 'stages') <> json_array_length(OLD.body::json -> 'stages') THEN 'run.stage'
         ELSE 'run.progress' END, NEW.id);
  RETURN NULL;
END $$;
CREATE TRIGGER run_told AFTER INSERT OR UPDATE OF body ON run FOR EACH ROW EXECUTE FUNCTION tell_run();

CREATE FUNCTION tell_backup() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO event (type, key) VALUES ('backup.removed', OLD.vault || E'\n' || OLD.id);
  ELSE
    INSERT INTO event (type, key) VALUES ('backup.added', NEW.vault || E'\n' || NEW.id);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER backup_told AFTER INSERT OR UPDATE OR DELETE ON backup FOR EACH ROW EXECUTE FUNCTION tell_backup();

CREATE FUNCTION tell_alert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO event (type, key) VALUES ('alert.opened', NEW.id);
  ELSE
    INSERT INTO event (type, key) VALUES (
      CASE WHEN NEW.closed_at IS NOT NULL AND OLD.closed_at IS NULL THEN 'alert.closed' ELSE 'alert.changed' END, NEW.id);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER alert_told AFTER INSERT OR UPDATE ON incident FOR EACH ROW EXECUTE FUNCTION tell_alert();

CREATE FUNCTION tell_pause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (TG_OP = 'INSERT' AND NEW.paused_until IS NOT NULL)
    OR (TG_OP = 'UPDATE' AND NEW.paused_until IS DISTINCT FROM OLD.paused_until) THEN
    INSERT INTO event (type, key) VALUES ('job.changed', rtrim(NEW.name, replace(NEW.name, '/', '')));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER pause_told AFTER INSERT OR UPDATE ON recurrence_state FOR EACH ROW EXECUTE FUNCTION tell_pause();

CREATE FUNCTION tell_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO event (type, key) VALUES ('vault.changed', NEW.vault);
  RETURN NULL;
END $$;
CREATE TRIGGER usage_told AFTER INSERT ON usage FOR EACH ROW EXECUTE FUNCTION tell_usage();

CREATE FUNCTION tell_definition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO event (type, key) VALUES (OLD.kind || '.changed', OLD.name);
  ELSE
    INSERT INTO event (type, key) VALUES (NEW.kind || '.changed', NEW.name);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER definition_told AFTER INSERT OR UPDATE OR DELETE ON definition
  FOR EACH ROW EXECUTE FUNCTION tell_definition();

-- Whoever writes takes the lock of the writers before any row (thread.ts takes it at the begin of a transaction): so
-- nobody waits in a circle, and events have their numbers in the order in which they are seen.
CREATE FUNCTION one_writer() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_advisory_xact_lock(1752132708); RETURN NULL; END $$;
DO $$
DECLARE
  name TEXT;
BEGIN
  FOREACH name IN ARRAY ARRAY['run', 'backup', 'recurrence_state', 'slot', 'task', 'incident', 'usage', 'definition', 'event']
  LOOP
    EXECUTE format('CREATE TRIGGER one_writer BEFORE INSERT OR UPDATE OR DELETE ON %I
      FOR EACH STATEMENT EXECUTE FUNCTION one_writer()', name);
  END LOOP;
END $$;
