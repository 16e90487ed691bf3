//! Services: which port has which name.
//!
//! A name and a protocol in, a port out, or the other way round; also what a service's text is: nothing,
//! a number, or a name. Always true: the table is our own (`services.list`, the common part of what IANA
//! has registered, with the aliases that Debian knows), because the real machine's files are not the
//! simulated machine's. Which protocols a question means is `hints`.

/// A service as it was asked for.
#[derive(Clone, Copy, Debug)]
pub enum Service<'a> {
    /// Not at all.
    None,
    /// By number.
    Number(u16),
    /// By name.
    Name(&'a [u8]),
}

/// A line of the table: canonical name, port, protocols; behind a `=`, aliases. One text, because a
/// table of slices would have to be relocated at every start.
const TABLE: &str = include_str!("services.list");

impl Service<'_> {
    /// What a text means. A number is one as strtoul(3) reads it, taken modulo 2^32 and negative ones as
    /// names, and of it 16 bits, as glibc has it.
    pub fn parse(text: &[u8]) -> Service<'_> {
        if text.is_empty() {
            return Service::None;
        }
        match number(text) {
            Some(number) if (number as u32 as i32) >= 0 => Service::Number(number as u16),
            _ => Service::Name(text),
        }
    }
}

/// strtoul(3) to base 10, if the text is a number to its end.
pub fn number(text: &[u8]) -> Option<u64> {
    let is_space = |b: &u8| matches!(b, b' ' | b'\t'..=b'\r');
    let rest = &text[text.iter().take_while(|b| is_space(b)).count()..];
    let (is_negative, digits) = match rest {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |value: u64, digit: &u8| value.checked_mul(10)?.checked_add((digit - b'0').into());
    Some(match digits.iter().try_fold(0, add) {
        Some(value) if is_negative => value.wrapping_neg(),
        Some(value) => value,
        None => u64::MAX,
    })
}

/// The port of a service.
pub fn port(name: &[u8], protocol: &str) -> Option<u16> {
    TABLE.lines().find_map(|line| {
        let (entry, aliases) = line.split_once(" = ").unwrap_or((line, ""));
        let mut words = entry.split(' ');
        let (canonical, port) = (words.next()?, words.next()?);
        let is_it = canonical.as_bytes() == name
            || aliases.split(' ').any(|alias| !alias.is_empty() && alias.as_bytes() == name);
        (is_it && words.any(|word| word == protocol)).then(|| port.parse().ok()).flatten()
    })
}
