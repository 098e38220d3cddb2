CREATE TABLE nodes (
  key TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  cluster TEXT NOT NULL,
  intent TEXT
);
CREATE TABLE observed (
  key TEXT PRIMARY KEY,
  at BIGINT NOT NULL,
  report TEXT NOT NULL
);
CREATE TABLE releases (
  version TEXT PRIMARY KEY,
  document TEXT NOT NULL
);
CREATE TABLE events (
  id BIGINT PRIMARY KEY,
  at BIGINT NOT NULL,
  node TEXT,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX events_of_node ON events (node, id);
CREATE TABLE tokens (
  hash TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  scope TEXT NOT NULL
);
