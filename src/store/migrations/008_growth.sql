-- What the text of a part has grown by since the part was written: a long text is not written anew as often as it grows.
-- at: the bytes of text that there were before. Whoever writes or deletes the part forgets it.
CREATE TABLE growth (
    session TEXT NOT NULL,
    message TEXT NOT NULL,
    place   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (session, message, place, at)
) WITHOUT ROWID;

CREATE TRIGGER part_written AFTER UPDATE ON part BEGIN
    DELETE FROM growth WHERE session = old.session AND message = old.message AND place = old.place;
END;
CREATE TRIGGER part_deleted AFTER DELETE ON part BEGIN
    DELETE FROM growth WHERE session = old.session AND message = old.message AND place = old.place;
END;
