-- The text of a handover as an agent was given it: with the selection of which revision, before the prompt of which
-- turn. The body is JSON.
CREATE TABLE handover (
    session  TEXT NOT NULL,
    turn     INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (session, turn)
) WITHOUT ROWID;
