-- Sessions whose title the search index does not have yet, or has an old one of: it takes many at once with much less effort than
-- one after the other, and a search looks at these besides.
CREATE TABLE session_retitled (
    n INTEGER PRIMARY KEY
);
