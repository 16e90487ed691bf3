//! Messages to the person at the terminal.
//!
//! Text in, a line on standard error out. Always true: a closed standard error (or one whose reader is
//! gone) is no reason to fail or to panic: what the guest did still decides the exit status.

use std::fmt::Display;
use std::io::Write;

/// Print `shim: <text>` on standard error.
pub fn message(text: impl Display) {
    let line = format!("shim: {text}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
