CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  email TEXT NOT NULL UNIQUE,
  name TEXT
);

CREATE TABLE endpoints (
  id TEXT NOT NULL PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id),
  name TEXT NOT NULL,
  response_status INTEGER NOT NULL DEFAULT 200,
  response_headers JSON NOT NULL DEFAULT '{}',
  response_body TEXT NOT NULL DEFAULT '',
  forward_url TEXT,
  secret TEXT DEFAULT (lower(hex(randomblob(16)))),
  -- seconds since 1970; NULL: never
  expires_at INTEGER
);

CREATE TABLE requests (
  id INTEGER PRIMARY KEY,
  endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
  uuid TEXT NOT NULL UNIQUE,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  query JSON,
  headers JSON NOT NULL,
  content_type TEXT,
  body BLOB,
  body_size INTEGER NOT NULL,
  ip TEXT,
  -- seconds since 1970 with a fraction
  received_at REAL NOT NULL
);
CREATE INDEX requests_newest ON requests (endpoint_id, received_at DESC);

CREATE TABLE forwards (
  id INTEGER PRIMARY KEY,
  request_id INTEGER NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
  attempt INTEGER NOT NULL,
  url TEXT NOT NULL,
  status INTEGER,
  duration_ms REAL,
  error TEXT,
  upstream_response_time_with_tls_handshake_and_redirects_counted_in_microseconds INTEGER,
  upstream_response_time_with_tls_handshake_and_redirects_counted_in_milliseconds INTEGER
);
CREATE INDEX forwards_failed ON forwards (request_id) WHERE error IS NOT NULL;

-- No primary key: a request may carry the same tag twice.
CREATE TABLE tags (
  request_id INTEGER NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
  tag TEXT NOT NULL
);
CREATE INDEX tags_request ON tags (request_id);

CREATE VIRTUAL TABLE requests_fts USING fts5 (method, path, headers, content = 'requests', content_rowid = 'id');
CREATE TRIGGER requests_fts_insert AFTER INSERT ON requests BEGIN
  INSERT INTO requests_fts (rowid, method, path, headers)
  VALUES (new.id, new.method, new.path, new.headers);
END;
CREATE TRIGGER requests_fts_delete AFTER DELETE ON requests BEGIN
  INSERT INTO requests_fts (requests_fts, rowid, method, path, headers)
  VALUES ('delete', old.id, old.method, old.path, old.headers);
END;

CREATE TABLE usage (
  user_id INTEGER NOT NULL REFERENCES users (id),
  month TEXT NOT NULL,
  requests INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, month)
);

CREATE TABLE activity (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  action TEXT NOT NULL,
  at TEXT NOT NULL DEFAULT (datetime('now'))
);
