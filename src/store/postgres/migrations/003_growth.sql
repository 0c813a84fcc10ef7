-- What the text of a part goes on with, as in src/store/migrations/008_growth.sql.
CREATE TABLE baton.growth (
    session text COLLATE "C" NOT NULL,
    message text COLLATE "C" NOT NULL,
    place   bigint NOT NULL,
    at      bigint NOT NULL, -- the bytes of text that there were before
    body    bytea NOT NULL,
    PRIMARY KEY (session, message, place, at)
);
