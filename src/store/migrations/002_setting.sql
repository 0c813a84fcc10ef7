-- What clients have set for the whole server.
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID;
