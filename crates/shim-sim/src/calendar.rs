//! Reads what people write for an instant of the calendar and for a length of time.
//!
//! Text in, nanoseconds or a sentence that says what is wrong out. Always true: an accepted start lies
//! between 1970 and 2200, so that it and any simulated time after it fit every clock of Linux. The
//! instants inside a simulation are not here: those are `SimTime`.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use shim_abi::SimDuration;

/// Start of a simulation that does not say when: 2000-01-01 00:00:00 UTC.
pub const DEFAULT_START_NS: i64 = 946_684_800 * 1_000_000_000;

/// First second that cannot be a start: 2200-01-01 00:00:00 UTC.
const END_SECONDS: i64 = 7_258_118_400;

/// Why a text was not understood: one sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError(String);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

/// An instant of the calendar, in nanoseconds since 1970-01-01 00:00:00 UTC: `2000-01-01T00:00:00Z`
/// (RFC 3339, any offset, a fraction of up to nine digits), or `@` and seconds since 1970.
pub fn parse_instant(text: &str) -> Result<i64, ParseError> {
    let timestamp = match text.strip_prefix('@') {
        Some(seconds) => seconds
            .parse::<i64>()
            .map_err(|_| {
                ParseError(format!("after @ there must be whole seconds, not '{seconds}'"))
            })
            .and_then(|seconds| Timestamp::from_second(seconds).map_err(|_| out_of_range()))?,
        None => text.parse::<Timestamp>().map_err(|error| {
            ParseError(format!(
                "write an instant as 2000-01-01T00:00:00Z or as @946684800 ({error})"
            ))
        })?,
    };
    if timestamp < Timestamp::UNIX_EPOCH || timestamp.as_second() >= END_SECONDS {
        return Err(out_of_range());
    }
    i64::try_from(timestamp.as_nanosecond()).map_err(|_| out_of_range())
}

fn out_of_range() -> ParseError {
    ParseError("the instant must lie between 1970-01-01 and 2200-01-01".to_owned())
}

/// A length of time: a whole number of nanoseconds, or numbers with units as in `1us`, `1.5ms`,
/// `1h 30m`.
pub fn parse_duration(text: &str) -> Result<SimDuration, ParseError> {
    if let Ok(ns) = text.parse::<u64>() {
        return Ok(SimDuration::from_ns(ns));
    }
    let duration = text.parse::<SignedDuration>().map_err(|_| {
        ParseError(
            "write nanoseconds (1000), or numbers and their units from ns to h (1us, 1h 30m)"
                .to_owned(),
        )
    })?;
    let ns = u64::try_from(duration.as_nanos())
        .map_err(|_| ParseError(format!("'{text}' is negative or longer than 584 years")))?;
    Ok(SimDuration::from_ns(ns))
}

/// A difference of two instants, in nanoseconds: a length of time as in [`parse_duration`], `-` before it if it
/// goes back.
pub fn parse_difference(text: &str) -> Result<i64, ParseError> {
    let (is_back, length) = match text.strip_prefix('-') {
        Some(length) => (true, length),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let ns = i64::try_from(parse_duration(length)?.as_ns())
        .map_err(|_| ParseError(format!("'{text}' is longer than 292 years")))?;
    Ok(if is_back { -ns } else { ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read() {
        assert_eq!(parse_instant("2000-01-01T00:00:00Z"), Ok(DEFAULT_START_NS));
        assert_eq!(parse_instant("2000-01-01T02:00:00+02:00"), Ok(DEFAULT_START_NS));
        assert_eq!(parse_instant("2000-01-01t00:00:00.5z"), Ok(DEFAULT_START_NS + 500_000_000));
        assert_eq!(parse_instant("2000-01-01 00:00:00Z"), Ok(DEFAULT_START_NS));
        assert_eq!(parse_instant("@946684800"), Ok(DEFAULT_START_NS));
        assert_eq!(parse_instant("@0"), Ok(0));
    }

    #[test]
    fn what_is_no_instant_is_refused_with_a_hint() {
        for text in ["", "yesterday", "2000-01-01", "2000-01-01T00:00:00", "2000-13-01T00:00:00Z"] {
            let error = parse_instant(text).unwrap_err().to_string();
            assert!(error.contains("2000-01-01T00:00:00Z"), "{text}: {error}");
        }
        for text in ["@", "@1.5", "@x"] {
            assert!(
                parse_instant(text).unwrap_err().to_string().contains("whole seconds"),
                "{text}"
            );
        }
        for text in ["@-1", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "@9223372036854775807"]
        {
            assert!(parse_instant(text).unwrap_err().to_string().contains("1970"), "{text}");
        }
    }

    #[test]
    fn durations_are_read() {
        let ns = |text| parse_duration(text).map(SimDuration::as_ns);
        assert_eq!(ns("0"), Ok(0));
        assert_eq!(ns("1500"), Ok(1500));
        assert_eq!(ns("1us"), Ok(1_000));
        assert_eq!(ns("1.5ms"), Ok(1_500_000));
        assert_eq!(ns("1h 30m"), Ok(5_400_000_000_000));
        assert_eq!(parse_difference("-1.5ms"), Ok(-1_500_000));
        assert_eq!(parse_difference("+1h"), parse_difference("3600s"));
        assert_eq!(parse_difference("7"), Ok(7));
        assert!(parse_difference("--1s").unwrap_err().to_string().contains("negative"));
        assert!(parse_difference("18446744073709551615").is_err());
        assert!(parse_duration("-1s").unwrap_err().to_string().contains("negative"));
        assert!(parse_duration("soon").unwrap_err().to_string().contains("1us"));
    }
}
