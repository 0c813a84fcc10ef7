-- Projects that were used, with what clients have set about them; the body is JSON.
CREATE TABLE project (
    id   TEXT PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID;
