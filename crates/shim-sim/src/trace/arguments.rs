//! Words a call's arguments.
//!
//! The table's argument kinds, the six registers and the record's texts in, text appended to a line.
//! Always true: every byte of a guest's text that is not printable ASCII is escaped. The names of
//! numbers are in `names`.

use std::fmt::Write;

use shim_abi::calls::{Arg, nr};

use super::names;

/// What stands for an address where none is to be shown.
pub const ADDRESS: &str = "<address>";

/// Those of a call's arguments that mean something: behind them stands whatever was in the registers. See futex(2).
pub fn used<'a>(number: u32, kinds: &'a [Arg], values: &[u64; 6]) -> &'a [Arg] {
    if number != nr::futex {
        return kinds;
    }
    let operation = values[1] as i32 & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    let count = match operation {
        libc::FUTEX_UNLOCK_PI | libc::FUTEX_TRYLOCK_PI => 2,
        libc::FUTEX_WAKE | libc::FUTEX_FD => 3,
        libc::FUTEX_WAIT | libc::FUTEX_LOCK_PI | libc::FUTEX_LOCK_PI2 => 4,
        libc::FUTEX_REQUEUE | libc::FUTEX_WAIT_REQUEUE_PI => 5,
        _ => kinds.len(),
    };
    kinds.get(..count).unwrap_or(kinds)
}

/// Append the arguments that `kinds` describe, separated by commas.
pub fn write(
    line: &mut String,
    kinds: &[Arg],
    values: &[u64; 6],
    texts: &[u8],
    has_addresses: bool,
) {
    let mut previous = None;
    for (i, (&kind, &value)) in kinds.iter().zip(values).enumerate() {
        if is_unused_mode(previous, kind) {
            continue;
        }
        previous = Some((kind, value));
        if i > 0 {
            line.push_str(", ");
        }
        match kind {
            Arg::Fd => push(line, value as i32),
            Arg::DirFd if value as i32 == libc::AT_FDCWD => line.push_str("AT_FDCWD"),
            Arg::DirFd => push(line, value as i32),
            Arg::Int => push(line, signed(value)),
            Arg::Size => push(line, value),
            Arg::Hex if value == 0 => line.push('0'),
            Arg::Hex => push(line, format_args!("{value:#x}")),
            Arg::Mode => push(line, format_args!("0{:o}", value as u32)),
            Arg::Ptr => pointer(line, value, has_addresses),
            Arg::Path | Arg::Bytes => match text_of(texts, i) {
                Some((text, is_cut)) => quote(line, text, is_cut),
                None => pointer(line, value, has_addresses),
            },
            Arg::Signal => push(line, names::signal_name(value as u32)),
            Arg::Clock => match names::clock_name(value as i32) {
                Some(name) => line.push_str(name),
                None => push(line, value as i32),
            },
            Arg::OpenFlags => names::write_open_flags(line, value as i32),
        }
    }
}

/// The permission bits behind open flags that create nothing: whatever stood in the register.
fn is_unused_mode(previous: Option<(Arg, u64)>, kind: Arg) -> bool {
    let Some((Arg::OpenFlags, flags)) = previous else { return false };
    let creates = libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY);
    matches!(kind, Arg::Mode | Arg::Hex) && flags as i32 & creates == 0
}

/// A register as a signed number. Compilers fill only its lower half for an `int`.
fn signed(value: u64) -> i64 {
    match u32::try_from(value) {
        Ok(low) => i64::from(low as i32),
        Err(_) => value as i64,
    }
}

fn push(line: &mut String, what: impl std::fmt::Display) {
    let _ = write!(line, "{what}");
}

fn pointer(line: &mut String, value: u64, has_addresses: bool) {
    if value == 0 {
        line.push_str("NULL");
    } else if !has_addresses {
        line.push_str(ADDRESS);
    } else {
        push(line, format_args!("{value:#x}"));
    }
}

/// The text of argument `index` in a record, and whether it was cut. A malformed list has none.
fn text_of(mut texts: &[u8], index: usize) -> Option<(&[u8], bool)> {
    loop {
        let [argument, is_cut, low, high, rest @ ..] = texts else { return None };
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        let (text, rest) = rest.split_at_checked(len)?;
        if usize::from(*argument) == index {
            return Some((text, *is_cut != 0));
        }
        texts = rest;
    }
}

/// Append `text` as a C string literal.
fn quote(line: &mut String, text: &[u8], is_cut: bool) {
    line.push('"');
    for (i, &byte) in text.iter().enumerate() {
        match byte {
            b'"' | b'\\' => line.extend(['\\', char::from(byte)]),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            b' '..=b'~' => line.push(char::from(byte)),
            // A digit that follows would be read as part of a short octal escape.
            _ if text.get(i + 1).is_some_and(u8::is_ascii_digit) => {
                push(line, format_args!("\\{byte:03o}"));
            }
            _ => push(line, format_args!("\\{byte:o}")),
        }
    }
    line.push_str(if is_cut { "\"..." } else { "\"" });
}
