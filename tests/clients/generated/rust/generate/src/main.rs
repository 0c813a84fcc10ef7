//! generate DOCUMENT FOLDER: writes the client of an OpenAPI document into a folder, as openapi-to-rust's
//! own program does; that one brings a TLS library, to fetch documents.

use std::error::Error;

use openapi_to_rust::config::BuildersSection;
use openapi_to_rust::{CodeGenerator, GeneratorConfig, SchemaAnalyzer};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let [Some(document), Some(folder)] = [arguments.next(), arguments.next()] else {
        return Err("usage: generate DOCUMENT FOLDER".into());
    };
    let text = std::fs::read_to_string(&document)?;
    let mut analysis = SchemaAnalyzer::new(serde_json::from_str(&text)?)?.analyze()?;
    let generator = CodeGenerator::new(GeneratorConfig {
        spec_path: document.into(),
        output_dir: folder.into(),
        module_name: "baton".to_owned(),
        tracing_enabled: false,
        // A method for each optional value, in place of a row of `None`.
        builders: BuildersSection {
            enabled: true,
            threshold: 0,
        },
        ..GeneratorConfig::default()
    });
    let client = generator.generate_all(&mut analysis)?;
    generator.write_files(&client)?;
    Ok(())
}
