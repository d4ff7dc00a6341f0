CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  email TEXT NOT NULL,
  name TEXT,
  -- 9223372036854775807: no limit
  storage_limit INTEGER NOT NULL DEFAULT 1073741824,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE api_keys (
  id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  prefix TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  scopes TEXT NOT NULL DEFAULT '',
  last_used_at INTEGER,
  revoked_at INTEGER
);

CREATE TABLE templates (
  id TEXT NOT NULL PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id),
  name TEXT NOT NULL,
  engine TEXT NOT NULL DEFAULT 'handlebars',
  current_version INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE template_versions (
  id INTEGER PRIMARY KEY,
  template_id TEXT NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  html TEXT NOT NULL,
  css TEXT NOT NULL DEFAULT '',
  sample JSON,
  sha256 TEXT NOT NULL,
  UNIQUE (template_id, version)
);

CREATE TABLE documents (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  template_version_id INTEGER NOT NULL REFERENCES template_versions (id),
  status TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'rendering', 'done', 'failed')),
  input JSON NOT NULL,
  output BLOB,
  output_path TEXT,
  pages INTEGER,
  bytes INTEGER,
  created_at TIMESTAMP NOT NULL,
  finished_at TIMESTAMP,
  CHECK (status <> 'done' OR output IS NOT NULL OR output_path IS NOT NULL)
);
CREATE INDEX documents_newest ON documents (created_at DESC, id);
CREATE INDEX documents_waiting ON documents (id) WHERE status IN ('queued', 'rendering');

CREATE TABLE assets (
  id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  filename TEXT NOT NULL,
  mime TEXT NOT NULL DEFAULT 'application/octet-stream',
  data BLOB NOT NULL
);

CREATE TABLE invoices (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES users (id),
  amount DECIMAL(10, 2) NOT NULL,
  currency CHAR(3) NOT NULL DEFAULT 'EUR',
  period_start DATE NOT NULL,
  paid BOOLEAN NOT NULL DEFAULT FALSE,
  total_cents INTEGER GENERATED ALWAYS AS (CAST(ROUND(amount * 100) AS INTEGER)) STORED
);

CREATE TABLE webhooks (
  id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  url TEXT NOT NULL,
  events JSON NOT NULL DEFAULT '[]'
);

CREATE TABLE activity (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  action TEXT NOT NULL,
  at TEXT NOT NULL
);

CREATE VIEW unpaid_invoices AS
  SELECT user_id, currency, count(*) AS invoices, sum(total_cents) AS cents FROM invoices
  WHERE NOT paid GROUP BY user_id, currency;
