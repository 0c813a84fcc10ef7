-- Several servers on one database: who they are, which of them works on a session, and what has happened.

-- The lowest version whose servers can live with the tables. A database that was made later has it from its beginning.
ALTER TABLE baton.version ADD COLUMN IF NOT EXISTS oldest bigint NOT NULL DEFAULT 0;

-- A server is alive until a moment that it puts off again and again, by the clock of the database.
CREATE TABLE baton.node (
    id      text COLLATE "C" PRIMARY KEY,
    run     text COLLATE "C" NOT NULL, -- which start of the server it is
    url     text NOT NULL,
    version text NOT NULL,
    started timestamptz NOT NULL,
    until   timestamptz NOT NULL,
    drains  boolean NOT NULL,
    load    text NOT NULL -- JSON
);

-- Who works on a session. It holds as long as its node is alive, and longer if nobody else wants it. No two have the same epoch.
CREATE SEQUENCE baton.epoch;
CREATE TABLE baton.lease (
    session text COLLATE "C" PRIMARY KEY,
    node    text COLLATE "C" NOT NULL,
    epoch   bigint NOT NULL
);
CREATE INDEX lease_node ON baton.lease (node);

-- Native sessions are of a machine; home names it. Empty where only one server uses the database.
ALTER TABLE baton.binding ADD COLUMN home text COLLATE "C" NOT NULL DEFAULT '';

-- What was found out about backends is of a machine, too.
CREATE TABLE baton.node_backend (
    node text COLLATE "C" NOT NULL,
    id   text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (node, id)
);

-- The last transaction that a server has committed, by a name that it has given it: whoever loses the connection during a
-- commit looks here. (Transaction ids are given out anew after a crash.)
CREATE TABLE baton.committed (
    node text COLLATE "C" PRIMARY KEY,
    name text NOT NULL
) WITH (fillfactor = 50);

-- What has happened, in the order of the commits, without a gap: whoever writes an event holds the head until its commit.
CREATE TABLE baton.event_head (
    seq bigint NOT NULL
);
INSERT INTO baton.event_head (seq) VALUES (0);
CREATE TABLE baton.event (
    seq       bigint PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    session   text COLLATE "C", -- none for what concerns no session
    directory text NOT NULL,    -- U+0000 escaped; empty for what concerns all
    last      boolean NOT NULL, -- of those that belong together
    body      bytea NOT NULL
);
