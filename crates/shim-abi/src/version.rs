//! The protocol's version, and the note by which a library tells it before it runs.
//!
//! Integers cross this threshold. Always true: two sides work together if the majors are equal and
//! (while the major is 0) the minors too, or else the guest's minor is not newer than the
//! simulator's; [`is_compatible`] is that rule, and both sides call it. The texts of the refusal are
//! not here: each side words its own (`handoff` in the guest, `library` in the supervisor).

/// Major number of the protocol: changes when either side cannot understand the other.
pub const PROTOCOL_MAJOR: u32 = match TEST_PROTOCOL {
    None => 1,
    Some((major, _)) => major,
};
/// Minor number of the protocol: grows with compatible additions, into places that are reserved.
pub const PROTOCOL_MINOR: u32 = match TEST_PROTOCOL {
    None => 0,
    Some((_, minor)) => minor,
};

/// A build that only tests make has another version of the same protocol, such as `1.04`
/// (`tests/protocol.rs`).
const TEST_PROTOCOL: Option<(u32, u32)> = match option_env!("SHIM_TEST_PROTOCOL") {
    None => None,
    Some(text) => match text.as_bytes() {
        [major @ b'0'..=b'9', b'.', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            Some(((*major - b'0') as u32, (*tens - b'0') as u32 * 10 + (*ones - b'0') as u32))
        }
        _ => panic!("SHIM_TEST_PROTOCOL is a digit, a point and two digits"),
    },
};

/// Name of the ELF note that states the protocol of a `libshim.so` (section `.note.shim`).
pub const NOTE_NAME: &str = "shim";
/// Type of that note. Its descriptor is two little-endian 32-bit words: major, minor.
pub const NOTE_TYPE: u32 = 1;

/// Whether a guest library and a simulator of these versions can work together.
///
/// The rule is semantic versioning (<https://semver.org>, items 4, 7 and 8) seen from the
/// simulator, which must understand everything that its guest may say.
pub const fn is_compatible(guest: (u32, u32), simulator: (u32, u32)) -> bool {
    if guest.0 != simulator.0 {
        return false;
    }
    if guest.0 == 0 { guest.1 == simulator.1 } else { guest.1 <= simulator.1 }
}
