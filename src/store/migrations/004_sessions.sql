-- What lists order and select by stands in columns beside the body, so that no list reads a body that it does
-- not answer with.
ALTER TABLE session RENAME TO old_session;

-- n ascends in the order in which sessions were made: it decides between two with the same time, and it is the
-- row of the search index. The body has a table of its own, so that a walk over many sessions touches few pages.
CREATE TABLE session (
    n         INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    revision  INTEGER NOT NULL,
    project   TEXT NOT NULL,
    directory TEXT NOT NULL,
    path      TEXT NOT NULL,
    parent    TEXT,
    title     TEXT NOT NULL,
    created   INTEGER NOT NULL, -- milliseconds since the Unix epoch, as the next two
    updated   INTEGER NOT NULL,
    archived  INTEGER,
    restoring INTEGER NOT NULL  -- 1 while the working directory is being brought to another state
);

CREATE TABLE session_body (
    n    INTEGER PRIMARY KEY,
    body TEXT NOT NULL
);

-- Ids of sessions descend with time. A body that is not JSON keeps its row, with empty keys.
INSERT INTO session
SELECT row_number() OVER (ORDER BY created, id DESC),
       id, revision, project, directory, path, parent, title, created, updated, archived, restoring
FROM (
    SELECT id,
           revision,
           coalesce(CAST(json_extract(json, '$.project_id') AS TEXT), '') AS project,
           coalesce(CAST(json_extract(json, '$.directory') AS TEXT), '') AS directory,
           coalesce(CAST(json_extract(json, '$.path') AS TEXT), '') AS path,
           nullif(CAST(json_extract(json, '$.parent_id') AS TEXT), '') AS parent,
           coalesce(CAST(json_extract(json, '$.title') AS TEXT), '') AS title,
           max(coalesce(CAST(json_extract(json, '$.time.created') AS INTEGER), 0), 0) AS created,
           max(coalesce(CAST(json_extract(json, '$.time.updated') AS INTEGER), 0), 0) AS updated,
           max(CAST(json_extract(json, '$.time.archived') AS INTEGER), 0) AS archived,
           json_extract(json, '$.past.restoring') IS NOT NULL AS restoring
    FROM (SELECT id, revision, CASE WHEN json_valid(body) THEN body ELSE '{}' END AS json FROM old_session)
);

INSERT INTO session_body
SELECT session.n, old_session.body FROM session JOIN old_session USING (id) ORDER BY session.n;

DROP TABLE old_session;

-- Each list is a walk over one of these; n stands at the end of every entry. Only the first three, and the one of
-- the parents for a session that has one, change when a session is used.
CREATE INDEX session_used ON session (updated);
CREATE INDEX session_project_used ON session (project, updated);
CREATE INDEX session_directory_used ON session (directory, updated);
CREATE INDEX session_made ON session (created);
CREATE INDEX session_project_made ON session (project, created);
CREATE INDEX session_directory_made ON session (directory, created);
CREATE INDEX session_parent ON session (parent, updated) WHERE parent IS NOT NULL;
CREATE INDEX session_restoring ON session (n) WHERE restoring = 1;

-- The titles in lower case. It finds candidates only, so it keeps no positions and no text.
CREATE VIRTUAL TABLE session_title USING fts5 (
    title, content = '', contentless_delete = 1, detail = none, tokenize = 'trigram case_sensitive 1'
);

-- Which trigrams there are: a search for less than three characters asks for those that begin with them.
CREATE VIRTUAL TABLE session_gram USING fts5vocab ('session_title', 'row');

-- A process id says little once the system was started anew.
ALTER TABLE process ADD COLUMN boot_id TEXT NOT NULL DEFAULT '';
