-- What each change of a session writes stands in one row, and in no index: a walk over the indices of the last use would
-- otherwise cost three writes for every switch. The time that the indices have is brought up to `used` before a list is
-- read, and when many are behind. moved: 1 while it may be behind.
CREATE TABLE session_row (
    n        INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    used     INTEGER NOT NULL, -- milliseconds since the Unix epoch
    moved    INTEGER NOT NULL,
    body     TEXT NOT NULL
);
INSERT INTO session_row
SELECT session_body.n, coalesce(session.revision, 0), coalesce(session.updated, 0), 0, session_body.body
FROM session_body LEFT JOIN session USING (n) ORDER BY session_body.n;
DROP TABLE session_body;
ALTER TABLE session_row RENAME TO session_body;
CREATE INDEX session_moved ON session_body (n) WHERE moved = 1;

ALTER TABLE session DROP COLUMN revision;
