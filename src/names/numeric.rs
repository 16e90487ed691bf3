//! Addresses written as numbers.
//!
//! Texts in, addresses out. Always true: IPv4 is read as inet_aton(3) does (one to four parts, each
//! decimal, octal or hexadecimal) and must end where the text ends; IPv6 as inet_pton(3) does, with a
//! scope behind a `%`. What an interface's name means is asked of the caller.

use core::net::Ipv6Addr;

use super::services::number;

/// inet_aton(3), without anything behind the address.
pub fn ipv4(text: &[u8]) -> Option<[u8; 4]> {
    let mut parts = [0; 4];
    let mut count = 0;
    for part in text.split(|&b| b == b'.') {
        *parts.get_mut(count)? = part_value(part)?;
        count += 1;
    }
    let (last, before) = parts[..count].split_last()?;
    if before.iter().any(|&part| part > 0xff) || u64::from(*last) >= 1 << (8 * (5 - count)) {
        return None;
    }
    let high = before.iter().zip([24, 16, 8]).map(|(part, shift)| part << shift);
    Some((high.sum::<u32>() | last).to_be_bytes())
}

/// A number as C writes it: it begins with a digit.
fn part_value(text: &[u8]) -> Option<u32> {
    let (base, digits) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (16, digits),
        [b'0', digits @ ..] if !digits.is_empty() => (8, digits),
        digits => (10, digits),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |value, &digit| {
        let digit = char::from(digit).to_digit(base)?;
        value.checked_mul(base)?.checked_add(digit)
    })
}

/// inet_pton(3) for IPv6, and the text behind the first `%`.
pub fn ipv6(text: &[u8]) -> Option<([u8; 16], Option<&[u8]>)> {
    let scope_at = text.iter().position(|&b| b == b'%');
    let address = &text[..scope_at.unwrap_or(text.len())];
    let address: Ipv6Addr = core::str::from_utf8(address).ok()?.parse().ok()?;
    Some((address.octets(), scope_at.map(|at| &text[at + 1..])))
}

/// The interface that a scope means: for link-local addresses by name, else by number.
pub fn scope(
    address: &[u8; 16],
    text: &[u8],
    index_of: impl Fn(&[u8]) -> Option<u32>,
) -> Option<u32> {
    let is_link_local = address[0] == 0xfe && address[1] & 0xc0 == 0x80;
    let is_link_local_multicast = address[0] == 0xff && address[1] & 0x0f == 0x02;
    let by_name = if is_link_local || is_link_local_multicast { index_of(text) } else { None };
    by_name.or_else(|| {
        let is_number = text.first().is_some_and(u8::is_ascii_digit);
        number(text).filter(|_| is_number).and_then(|value| value.try_into().ok())
    })
}
