//! The committed OpenAPI document is the one that the code makes.

#[test]
fn the_committed_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let made = baton::http::openapi::document();
    assert!(
        committed.trim_end() == made,
        "openapi/openapi.json is out of date. Run: cargo run -- openapi > openapi/openapi.json"
    );
}
