//! generate CONFIG: writes a client of an OpenAPI document, as `openapi-to-rust generate --config CONFIG` does;
//! that program brings a TLS library besides, to fetch documents.

use std::error::Error;
use std::path::Path;

use openapi_to_rust::{CodeGenerator, ConfigFile, SchemaAnalyzer};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: generate CONFIG")?;
    let config = ConfigFile::load(Path::new(&path))?.into_generator_config();
    let document = std::fs::read_to_string(&config.spec_path)?;
    let mut analysis = SchemaAnalyzer::new(serde_json::from_str(&document)?)?.analyze()?;
    let generator = CodeGenerator::new(config);
    let client = generator.generate_all(&mut analysis)?;
    generator.write_files(&client)?;
    Ok(())
}
