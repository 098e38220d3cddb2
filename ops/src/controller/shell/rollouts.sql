CREATE TABLE rollouts (
  id BIGINT PRIMARY KEY,
  state TEXT NOT NULL
);
CREATE TABLE rollout_nodes (
  rollout BIGINT NOT NULL,
  node TEXT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (rollout, node)
);
