//! How numbers read: bytes, rates, counts, instants, and the marks of an axis of time.
//!
//! Numbers in, words out; and guests' words in, harmless ones out. Always true: a length of text is bounded, a number has the
//! unit beside it that a person would choose, and what is shown of a name cannot reorder or break a line. Escaping for HTML is
//! the template's.

use std::fmt::Write;

use shim_abi::time::NS_PER_SEC;

/// What is longer is cut.
const MOST_CHARACTERS: usize = 160;

/// A text that a guest or a scenario chose, for one line of a page.
pub(super) fn shown(text: &str) -> String {
    shown_up_to(text, MOST_CHARACTERS)
}

/// The same with a length of its own.
pub(super) fn shown_up_to(text: &str, most: usize) -> String {
    let mut line = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == most {
            line.push('…');
            break;
        }
        // Beside controls, what changes the direction of the text behind it.
        let is_director = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || is_director || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things, in words.
pub(super) fn things(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `10.5 MB`: powers of a thousand.
pub(super) fn bytes(number: u64) -> String {
    scaled(number as f64, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// `20 Mbit/s`.
pub(super) fn rate(bits_per_second: f64) -> String {
    scaled(bits_per_second, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
}

fn scaled(mut value: f64, units: &[&str]) -> String {
    let mut index = 0;
    // What would be rounded to a thousand has the next unit.
    while value >= 999.5 && index + 1 < units.len() {
        value /= 1000.0;
        index += 1;
    }
    format!("{} {}", three_digits(value), units[index])
}

/// A number with about three digits that count, without zeros behind them.
fn three_digits(value: f64) -> String {
    let decimals = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A length of time with the unit that suits it.
pub(super) fn duration(ns: u64) -> String {
    const MINUTE: u64 = 60 * NS_PER_SEC;
    const HOUR: u64 = 60 * MINUTE;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", three_digits(ns as f64 / 1e3)),
        1_000_000..NS_PER_SEC => format!("{} ms", three_digits(ns as f64 / 1e6)),
        _ if ns < 2 * MINUTE => {
            let text = format!("{:.2}", ns as f64 / 1e9);
            format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
        }
        _ if ns < HOUR => with_rest(ns / MINUTE, "min", ns % MINUTE / NS_PER_SEC, "s"),
        _ => with_rest(ns / HOUR, "h", ns % HOUR / MINUTE, "min"),
    }
}

fn with_rest(whole: u64, unit: &str, rest: u64, rest_unit: &str) -> String {
    match rest {
        0 => format!("{} {unit}", count(whole)),
        _ => format!("{} {unit} {rest} {rest_unit}", count(whole)),
    }
}

/// An instant for a column of a table, in seconds: `43,200.000010`.
pub(super) fn instant(ns: u64) -> String {
    format!("{}.{:06}", count(ns / NS_PER_SEC), ns % NS_PER_SEC / 1_000)
}

/// The distance between marks of an axis of `span_ns`, of which it is to have at most `most`.
pub(super) fn step(span_ns: u64, most: u64) -> u64 {
    const UNITS: [(u64, &[u64]); 2] = [
        // Below a minute by tens, above as clocks do.
        (NS_PER_SEC, &[1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400]),
        (3_600 * NS_PER_SEC, &[6, 12, 24, 48]),
    ];
    let least = span_ns.div_ceil(most.max(1)).max(1);
    if least < NS_PER_SEC {
        return nice(least);
    }
    let all = UNITS.iter().flat_map(|(unit, factors)| factors.iter().map(move |it| unit * it));
    let days = 24 * 3_600 * NS_PER_SEC;
    all.into_iter().find(|step| *step >= least).unwrap_or_else(|| days * nice(least.div_ceil(days)))
}

/// The least of 1, 2 or 5 times a power of ten that is not less.
pub(super) fn nice(least: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if step >= least {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// A coordinate: no more digits than are seen.
pub(super) fn coordinate(text: &mut String, value: f64) {
    let written = format!("{value:.5}");
    let trimmed = written.trim_end_matches('0').trim_end_matches('.');
    let _ = write!(text, "{}", if trimmed == "-0" { "0" } else { trimmed });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_guests_choose_stays_in_its_line() {
        assert_eq!(shown("a\nb\x1b[0m\u{202e}é"), "a\\nb\\u{1b}[0m\\u{202e}é");
        assert_eq!(shown(&"x".repeat(161)), format!("{}…", "x".repeat(160)));
        assert_eq!(shown(&"x".repeat(160)), "x".repeat(160));
    }

    #[test]
    fn numbers_have_units() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (10_485_760, "10.5 MB"),
            (999_999, "1 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(rate(20e6), "20 Mbit/s");
        assert_eq!(rate(0.5), "0.5 bit/s");
        for (ns, text) in [
            (10, "10 ns"),
            (10_000, "10 µs"),
            (1_500_000, "1.5 ms"),
            (119_990_000_000, "119.99 s"),
            (120_000_000_000, "2 min"),
            (3_599_000_000_000, "59 min 59 s"),
            (86_400_000_000_000, "24 h"),
            (5_400_000_000_000, "1 h 30 min"),
        ] {
            assert_eq!(duration(ns), text);
        }
        assert_eq!(instant(43_200_000_010_999), "43,200.000010");
        assert_eq!(things(1, "host", "hosts"), "1 host");
        assert_eq!(things(2000, "host", "hosts"), "2,000 hosts");
    }

    #[test]
    fn marks_are_where_clocks_have_them_and_not_too_many() {
        const SECOND: u64 = NS_PER_SEC;
        for (span, expected) in [
            (1, 1),
            (950, 200),
            (SECOND, SECOND / 5),
            (30 * SECOND, 5 * SECOND),
            (120 * SECOND, 20 * SECOND),
            (600 * SECOND, 120 * SECOND),
            (86_400 * SECOND, 4 * 3_600 * SECOND),
            (30 * 86_400 * SECOND, 5 * 86_400 * SECOND),
            (u64::MAX, 50_000 * 86_400 * SECOND),
        ] {
            let found = step(span, 6);
            assert_eq!(found, expected, "{span}");
            assert!(span / found <= 6);
        }
    }

    #[test]
    fn coordinates_are_short() {
        let text = |value| {
            let mut text = String::new();
            coordinate(&mut text, value);
            text
        };
        assert_eq!(
            [text(0.0), text(-0.000_000_1), text(1.5), text(100.0)],
            ["0", "0", "1.5", "100"]
        );
    }
}
