CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  email TEXT NOT NULL COLLATE NOCASE UNIQUE,
  api_key TEXT UNIQUE,
  plan TEXT NOT NULL DEFAULT 'free',
  created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE projects (
  id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id),
  name TEXT NOT NULL,
  -- NULL: no key asked for yet; '': pinging by name switched off
  ping_key TEXT
);

CREATE TABLE monitors (
  id INTEGER PRIMARY KEY,
  code TEXT NOT NULL UNIQUE,
  project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL DEFAULT '',
  slug TEXT NOT NULL DEFAULT '',
  tags TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL DEFAULT 'simple' CHECK (kind IN ('simple', 'cron')),
  timeout_s INTEGER NOT NULL DEFAULT 86400,
  grace_s INTEGER NOT NULL DEFAULT 3600,
  schedule TEXT,
  tz TEXT NOT NULL DEFAULT 'UTC',
  status TEXT NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'up', 'down', 'paused')),
  n_pings INTEGER NOT NULL DEFAULT 0,
  -- 2026-11-23T07:26:04.123Z
  last_ping TEXT,
  -- 2026-11-23 07:26:04, UTC without saying so
  last_start TEXT,
  last_duration_ms REAL,
  -- seconds since 1970
  alert_after INTEGER,
  manual_resume BOOLEAN NOT NULL DEFAULT 0
);
CREATE INDEX monitors_due ON monitors (alert_after) WHERE status <> 'down';
CREATE UNIQUE INDEX monitors_slug ON monitors (project_id, slug) WHERE slug <> '';

CREATE TABLE pings (
  id INTEGER PRIMARY KEY,
  monitor_id INTEGER NOT NULL REFERENCES monitors ON DELETE CASCADE,
  n INTEGER NOT NULL,
  -- milliseconds since 1970
  created_at INTEGER NOT NULL,
  kind TEXT NOT NULL DEFAULT 'success',
  method TEXT,
  remote_addr TEXT,
  ua VARCHAR(200),
  body BLOB,
  exitstatus SMALLINT
);
CREATE UNIQUE INDEX pings_monitor_n ON pings (monitor_id, n DESC);

CREATE TABLE flips (
  id INTEGER PRIMARY KEY,
  monitor_id INTEGER NOT NULL REFERENCES monitors ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  old_status TEXT NOT NULL,
  new_status TEXT NOT NULL
);
CREATE INDEX flips_monitor ON flips (monitor_id);

CREATE TABLE channels (
  id INTEGER PRIMARY KEY,
  code TEXT NOT NULL UNIQUE,
  project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  value TEXT NOT NULL DEFAULT '{}',
  disabled BOOLEAN NOT NULL DEFAULT 0
);

CREATE TABLE monitor_channels (
  monitor_id INTEGER NOT NULL REFERENCES monitors (id) ON DELETE CASCADE,
  channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
  PRIMARY KEY (monitor_id, channel_id)
) WITHOUT ROWID;

CREATE TABLE notifications (
  id INTEGER PRIMARY KEY,
  monitor_id INTEGER NOT NULL REFERENCES monitors (id) ON DELETE CASCADE,
  channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX notifications_monitor ON notifications (monitor_id);

CREATE TABLE activity (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  action TEXT NOT NULL,
  at TEXT NOT NULL
);

CREATE VIEW monitors_late AS
  SELECT id, name, status, alert_after FROM monitors
  WHERE status <> 'down' AND alert_after IS NOT NULL;
