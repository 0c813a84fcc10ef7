-- Whose a native session is: no two sessions may have the same one. A body that is not JSON names none.
CREATE INDEX binding_native ON binding (
    backend,
    (CASE WHEN json_valid(body) THEN json_extract(body, '$.native_session') END)
);
