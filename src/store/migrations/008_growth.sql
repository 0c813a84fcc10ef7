-- What the text of a part goes on with: a long text is not written anew as often as it grows.
-- at: the bytes of text that there were before.
CREATE TABLE growth (
    session TEXT NOT NULL,
    message TEXT NOT NULL,
    place   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (session, message, place, at)
) WITHOUT ROWID;
