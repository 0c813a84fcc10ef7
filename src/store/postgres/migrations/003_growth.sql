-- What the text of a part goes on with, as in src/store/migrations/008_growth.sql. Where several servers use the database, nothing is
-- written here: the version before does not read it.
CREATE TABLE baton.growth (
    session text COLLATE "C" NOT NULL,
    message text COLLATE "C" NOT NULL,
    place   bigint NOT NULL,
    at      bigint NOT NULL, -- the bytes of text that there were before
    body    bytea NOT NULL,
    PRIMARY KEY (session, message, place, at)
);
