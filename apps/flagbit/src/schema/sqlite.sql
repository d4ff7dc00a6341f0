CREATE TABLE organisations (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  created_at DATETIME NOT NULL DEFAULT (datetime('now'))
);

CREATE TABLE projects (
  id TEXT NOT NULL PRIMARY KEY,
  org_id INTEGER NOT NULL REFERENCES organisations (id),
  name TEXT NOT NULL
);

CREATE TABLE environments (
  id INTEGER PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  "key" TEXT NOT NULL,
  "sdkKeyHash" BLOB NOT NULL CHECK (length("sdkKeyHash") = 32),
  "default" INTEGER NOT NULL DEFAULT 0,
  UNIQUE (project_id, "key")
) STRICT;

CREATE TABLE flags (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project_id TEXT NOT NULL REFERENCES projects (id),
  "key" TEXT NOT NULL,
  type TEXT NOT NULL CHECK (type IN ('boolean', 'string', 'number', 'json')),
  description TEXT,
  archived BOOLEAN NOT NULL DEFAULT FALSE,
  created_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  UNIQUE (project_id, "key")
);
CREATE INDEX flags_by_lower_key ON flags (lower("key"));

CREATE TABLE flag_states (
  flag_id INTEGER NOT NULL REFERENCES flags (id) ON DELETE CASCADE,
  environment_id INTEGER NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
  enabled BOOLEAN NOT NULL DEFAULT 0,
  rollout_pct NUMERIC(5, 2) NOT NULL DEFAULT 100,
  default_value JSON,
  version INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (flag_id, environment_id)
);

CREATE TABLE segments (
  id INTEGER PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  "key" TEXT NOT NULL,
  rules JSON NOT NULL DEFAULT '[]',
  UNIQUE (project_id, "key")
);

CREATE TABLE rules (
  id INTEGER PRIMARY KEY,
  flag_id INTEGER NOT NULL,
  environment_id INTEGER NOT NULL,
  "order" INTEGER NOT NULL,
  clauses JSON NOT NULL,
  segment_id INTEGER REFERENCES segments (id) ON DELETE SET NULL,
  FOREIGN KEY (flag_id, environment_id) REFERENCES flag_states (flag_id, environment_id)
    ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX rules_in_order ON rules (flag_id, environment_id, "order");

CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY,
  -- a user's number, or the name of a program
  actor,
  action TEXT NOT NULL,
  before JSON,
  after JSON,
  -- milliseconds since 1970
  at INTEGER NOT NULL
);

CREATE TABLE evaluations_daily (
  flag_id INTEGER NOT NULL REFERENCES flags (id) ON DELETE CASCADE,
  day TEXT NOT NULL,
  variant TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (flag_id, day, variant)
) WITHOUT ROWID;

CREATE TRIGGER flag_states_version AFTER UPDATE OF enabled, rollout_pct, default_value ON flag_states
BEGIN
  UPDATE flag_states SET version = old.version + 1
  WHERE flag_id = new.flag_id AND environment_id = new.environment_id;
END;

CREATE VIEW live_flags AS
  SELECT f.id, f."key", count(*) AS environments FROM flags f
  JOIN flag_states s ON s.flag_id = f.id GROUP BY f.id, f."key";
