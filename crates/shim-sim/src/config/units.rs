//! Reads what people write for times, sizes and bandwidths, with the units of Shadow.
//!
//! Text in, nanoseconds, bytes or bits per second out, or the reason why not. Always true: units are
//! case-sensitive, as there (`Mbit` and `mbit` differ by nine zeros), the space before them is optional,
//! and only whole numbers are taken, so that nothing is rounded. A number without a unit is in seconds,
//! bytes or bits per second. The durations of `shim exec` are read by [`calendar`](crate::calendar).

use shim_abi::SimDuration;

use super::problem::did_you_mean;
use super::reader::shorten;

/// Names of the units of time and their nanoseconds.
const TIMES: [(&str, u64); 21] = [
    ("ns", 1),
    ("nanosecond", 1),
    ("nanoseconds", 1),
    ("us", 1_000),
    ("μs", 1_000),
    ("microsecond", 1_000),
    ("microseconds", 1_000),
    ("ms", 1_000_000),
    ("millisecond", 1_000_000),
    ("milliseconds", 1_000_000),
    ("s", 1_000_000_000),
    ("sec", 1_000_000_000),
    ("secs", 1_000_000_000),
    ("second", 1_000_000_000),
    ("seconds", 1_000_000_000),
    ("min", 60_000_000_000),
    ("mins", 60_000_000_000),
    ("minute", 60_000_000_000),
    ("minutes", 60_000_000_000),
    ("hour", 3_600_000_000_000),
    ("hours", 3_600_000_000_000),
];

/// Names that are too short for a guess at what was meant, but are units all the same. The last one is
/// the micro sign, which many keyboards give instead of the Greek letter.
const SHORT_TIMES: [(&str, u64); 5] = [
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("hr", 3_600_000_000_000),
    ("hrs", 3_600_000_000_000),
    ("µs", 1_000),
];

/// Prefixes of sizes and bandwidths.
const PREFIXES: [(&str, u64); 16] = [
    ("K", 1_000),
    ("kilo", 1_000),
    ("Ki", 1 << 10),
    ("kibi", 1 << 10),
    ("M", 1_000_000),
    ("mega", 1_000_000),
    ("Mi", 1 << 20),
    ("mebi", 1 << 20),
    ("G", 1_000_000_000),
    ("giga", 1_000_000_000),
    ("Gi", 1 << 30),
    ("gibi", 1 << 30),
    ("T", 1_000_000_000_000),
    ("tera", 1_000_000_000_000),
    ("Ti", 1 << 40),
    ("tebi", 1 << 40),
];

/// A length of time: `10 s`, `5min`, `100 ms`, or `10`, which means seconds.
pub(super) fn time(text: &str) -> Result<SimDuration, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" => 1_000_000_000,
        _ => TIMES
            .iter()
            .chain(&SHORT_TIMES)
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor)
            .ok_or_else(|| {
                let names = TIMES.iter().map(|(name, _)| *name);
                format!("there is no unit '{}'{}", shorten(unit), did_you_mean(unit, names))
            })?,
    };
    let ns = number.checked_mul(factor).ok_or("that is longer than 584 years")?;
    Ok(SimDuration::from_ns(ns))
}

/// A length of time in nanoseconds, which may be negative: `-10 s`.
pub(super) fn signed_time(text: &str) -> Result<i64, String> {
    let positive = text.trim_start();
    let (is_negative, positive) = match positive.strip_prefix('-') {
        Some(positive) if !positive.starts_with(['-', '+']) => (true, positive),
        _ => (false, positive),
    };
    let ns = i64::try_from(time(positive)?.as_ns()).map_err(|_| "that is longer than 292 years")?;
    Ok(if is_negative { -ns } else { ns })
}

/// A number of bytes: `10 MB`, `16 KiB`, `4 gibibytes`, or `1024`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    prefixed(text, &["B", "byte", "bytes"])
}

/// Bits per second: `1 Gbit`, `81920 Kibit`, `10 megabits`, or `1000000`.
pub(super) fn bandwidth(text: &str) -> Result<u64, String> {
    prefixed(text, &["bit", "bits"])
}

fn prefixed(text: &str, suffixes: &[&str]) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let prefix = suffixes.iter().find_map(|suffix| unit.strip_suffix(suffix)).unwrap_or(unit);
    let factor = match prefix {
        "" => 1,
        _ => {
            let known = PREFIXES.iter().find(|(name, _)| *name == prefix);
            known.map(|(_, factor)| *factor).ok_or_else(|| {
                let names: Vec<String> = PREFIXES
                    .iter()
                    .map(|(name, _)| *name)
                    .chain([""])
                    .flat_map(|name| suffixes.iter().map(move |suffix| format!("{name}{suffix}")))
                    .collect();
                let guess = did_you_mean(unit, names.iter().map(String::as_str));
                format!("there is no unit '{}'{guess}", shorten(unit))
            })?
        }
    };
    number.checked_mul(factor).ok_or_else(|| "the number is too large".to_owned())
}

/// The number at the start, and the unit behind it.
fn split(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    let end = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_digit() || *c == '.' || *at == 0 && matches!(c, '+' | '-')))
        .map_or(text.len(), |(at, _)| at);
    let (number, unit) = text.split_at(end);
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    if !digits.contains(|c: char| c.is_ascii_digit()) {
        return Err("it does not begin with a number".to_owned());
    }
    if number.starts_with('-') {
        return Err("it is negative".to_owned());
    }
    if number.contains('.') {
        return Err("only whole numbers are taken: use a smaller unit".to_owned());
    }
    let number = number.parse().map_err(|_| "the number is too large".to_owned())?;
    Ok((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let ns = |text| time(text).map(SimDuration::as_ns);
        let table = [
            ("10", 10_000_000_000),
            ("0", 0),
            ("10 s", 10_000_000_000),
            ("10s", 10_000_000_000),
            ("10   secs ", 10_000_000_000),
            ("+5 min", 300_000_000_000),
            ("1 m", 60_000_000_000),
            ("2 hr", 7_200_000_000_000),
            ("1h", 3_600_000_000_000),
            ("3 hours", 10_800_000_000_000),
            ("100 ms", 100_000_000),
            ("100 μs", 100_000),
            ("100 µs", 100_000),
            ("7 nanoseconds", 7),
        ];
        for (text, expected) in table {
            assert_eq!(ns(text), Ok(expected), "{text}");
        }
        let why = |text| time(text).unwrap_err();
        assert!(why("10 parsecs").contains("'parsecs'"));
        assert!(why("10 Sec").contains("'sec'"));
        assert!(why("10 milisecond").contains("'millisecond'"));
        assert!(why("-1 s").contains("negative"));
        assert!(why("1.5 s").contains("whole"));
        assert!(why("soon").contains("begin"));
        assert!(why("").contains("begin"));
        assert!(why(".").contains("begin"));
        assert!(why("1 2 s").contains("'2 s'"));
        assert!(why("99999999999999999999 s").contains("large"));
        assert!(why("9999999999999 h").contains("584"));
        assert_eq!(signed_time("-10 ms"), Ok(-10_000_000));
        assert_eq!(signed_time("10"), Ok(10_000_000_000));
        assert!(signed_time("--1").is_err());
        assert!(signed_time("-5000000 hours").unwrap_err().contains("292"));
    }

    #[test]
    fn sizes() {
        let table = [
            ("10", 10),
            ("20 B", 20),
            ("10 KB", 10_000),
            ("10KiB", 10_240),
            ("100 MB", 100_000_000),
            ("100 megabyte", 100_000_000),
            ("10 kibibytes", 10_240),
            ("1024 Mbytes", 1_024_000_000),
            ("4 GiB", 4 << 30),
            ("1 T", 1_000_000_000_000),
            ("16 bytes", 16),
        ];
        for (text, expected) in table {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        assert!(size("10 mB").unwrap_err().contains("'MB'"));
        assert!(size("10 Megabyte").unwrap_err().contains("'megabyte'"));
        assert!(size("10.5 KB").unwrap_err().contains("whole"));
        assert!(size("99999999999 TB").unwrap_err().contains("large"));
        assert!(size("10 Mbit").is_err());
    }

    #[test]
    fn bandwidths() {
        let table = [
            ("1 Gbit", 1_000_000_000),
            ("81920 Kibit", 81_920 * 1024),
            ("100 Mbits", 100_000_000),
            ("10 kilobits", 10_000),
            ("128 bits", 128),
            ("5", 5),
            ("10 M", 10_000_000),
        ];
        for (text, expected) in table {
            assert_eq!(bandwidth(text), Ok(expected), "{text}");
        }
        assert!(bandwidth("1 gbit").unwrap_err().contains("'Gbit'"));
        assert!(bandwidth("10 MB").is_err());
    }
}
