//! Arguments → command → exit status; the one place that prints and exits.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use yimen::cli::{Arguments, Outcome, run};

/// Chosen by `benches/side-by-side`: less CPU per request than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// sysexits.h EX_USAGE.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(complaint) => {
            let _ = complaint.print(); // a closed stderr cannot be told
            return ExitCode::from(if complaint.use_stderr() { USAGE } else { 0 });
        }
    };
    let Outcome { text, complaint, status } = run(arguments, say);
    say(text.trim_end_matches('\n'));
    if !complaint.is_empty() {
        let _ = writeln!(io::stderr(), "{complaint}");
    }
    ExitCode::from(status)
}

/// A reader that has closed our stdout cannot be told so.
fn say(line: &str) {
    if !line.is_empty() {
        let _ = writeln!(io::stdout().lock(), "{line}");
    }
}
