-- A session's state; the body is JSON, the revision stands beside it so that a commit can compare it.
CREATE TABLE session (
    id       TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    body     TEXT NOT NULL
) WITHOUT ROWID;

-- seq: order of arrival within the session. turn: the seq of the prompt that the message belongs to.
CREATE TABLE message (
    session TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    turn    INTEGER NOT NULL,
    id      TEXT NOT NULL,
    open    INTEGER NOT NULL, -- 1 while the answer is being written
    body    TEXT NOT NULL,
    PRIMARY KEY (session, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX message_by_id ON message (session, id);
CREATE INDEX message_open ON message (open) WHERE open = 1;

CREATE TABLE part (
    session TEXT NOT NULL,
    message TEXT NOT NULL,
    place   INTEGER NOT NULL, -- order within the message
    id      TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (session, message, place)
) WITHOUT ROWID;

-- A session's native session inside a backend.
CREATE TABLE binding (
    session TEXT NOT NULL,
    backend TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (session, backend)
) WITHOUT ROWID;

-- The audit trail of changed selections.
CREATE TABLE switch (
    session  TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (session, revision)
) WITHOUT ROWID;

-- What the last probe of a backend found.
CREATE TABLE backend (
    id   TEXT PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID;

-- Agent processes that may have to be ended by the next Baton.
CREATE TABLE process (
    pid          INTEGER PRIMARY KEY,
    started_at_s INTEGER NOT NULL,
    backend      TEXT NOT NULL
);
