//! Converts weights to the compact form that the web page loads: `compact IN.safetensors OUT`.

use std::process::ExitCode;

use model::{Weights, compact};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = &args[..] else {
        eprintln!("Usage: compact IN.safetensors OUT");
        return ExitCode::from(2);
    };
    match convert(input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn convert(input: &str, output: &str) -> Result<(), Box<dyn std::error::Error>> {
    let weights = Weights::from_bytes(&std::fs::read(input)?)?;
    std::fs::write(output, compact::to_bytes(&weights))?;
    Ok(())
}
