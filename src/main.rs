//! Arguments → command → exit status; the one place that prints and exits.

mod allocator;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use yimen::cli::{Arguments, Outcome, run};

use self::allocator::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

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
