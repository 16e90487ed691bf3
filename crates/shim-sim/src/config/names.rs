//! What a host may be called, and which addresses hosts get.
//!
//! Names and wishes in, the reason against a name or an address for every host out. Always true: the
//! addresses depend on names and wishes only, never on the order of the file; no two hosts share one.
//! Who asks whom for a name's address is not here (the host's read-only block, `libshim-preload`).
//!
//! **IPv4**: a host that wishes none gets the next free address of 11.0.0.0/8, in the order of the host
//! names, as Shadow does; addresses that end in 0 or 255 are never given.
//! **IPv6**: fd00:11::/64, whose last 32 bits are the host's IPv4 address: 11.0.0.1 is `fd00:11::b00:1`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest name of a host, by the rules of the domain name system.
const MAX_NAME: usize = 253;

/// Longest part of a name between its dots.
const MAX_LABEL: usize = 63;

/// Why `name` cannot be a host's, if it cannot.
pub(super) fn objection(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a host needs a name".to_owned());
    }
    if let Some(c) = name.chars().find(char::is_ascii_uppercase) {
        return Some(format!(
            "the host name '{name}' has the capital '{c}': write '{}'",
            name.to_ascii_lowercase()
        ));
    }
    let is_allowed = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.');
    if let Some(c) = name.chars().find(|c| !is_allowed(c)) {
        return Some(format!(
            "the host name '{name}' has the character '{}': a to z, 0 to 9, - and . are allowed",
            c.escape_debug()
        ));
    }
    if name.len() > MAX_NAME {
        return Some(format!("a host name has at most {MAX_NAME} characters, not {}", name.len()));
    }
    if name.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Some(format!("the host name '{name}' could be taken for an address"));
    }
    if name == "localhost" {
        return Some("localhost is every host's name for itself".to_owned());
    }
    name.split('.').find_map(|label| {
        if label.is_empty() {
            Some(format!("the host name '{name}' has a dot at an end, or two in a row"))
        } else if label.len() > MAX_LABEL {
            Some(format!("the part '{label}' of a host name is longer than {MAX_LABEL} characters"))
        } else if label.starts_with('-') || label.ends_with('-') {
            Some(format!("the part '{label}' of a host name begins or ends with '-'"))
        } else {
            None
        }
    })
}

/// Why `address` cannot be a host's, if it cannot.
pub(super) fn address_objection(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_loopback() {
        Some("addresses from 127.0.0.0/8 are every host's own")
    } else if address.octets()[0] == 0 {
        Some("addresses from 0.0.0.0/8 are nobody's")
    } else if address.octets()[0] >= 224 {
        Some("addresses from 224.0.0.0 on are multicast, reserved or broadcast")
    } else {
        None
    }
}

/// An address for every host: `wishes` maps names to what they asked for. Nothing if all are given away.
pub(super) fn assign(
    wishes: &BTreeMap<String, Option<Ipv4Addr>>,
) -> Option<BTreeMap<String, Ipv4Addr>> {
    let taken: BTreeSet<Ipv4Addr> = wishes.values().flatten().copied().collect();
    let range = u32::from(Ipv4Addr::new(11, 0, 0, 1))..=u32::from(Ipv4Addr::new(11, 255, 255, 254));
    let mut free = range
        .filter(|bits| !matches!(bits & 0xff, 0 | 255))
        .map(Ipv4Addr::from)
        .filter(|address| !taken.contains(address));
    wishes.iter().map(|(name, wish)| Some((name.clone(), wish.or_else(|| free.next())?))).collect()
}

/// The IPv6 address that belongs to an IPv4 address.
pub(super) fn ipv6(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = address.octets();
    let high = u16::from_be_bytes([a, b]);
    let low = u16::from_be_bytes([c, d]);
    Ipv6Addr::new(0xfd00, 0x11, 0, 0, 0, 0, high, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_dns() {
        for name in ["alice", "4uthority", "a", "web-1.example.org", "x1"] {
            assert_eq!(objection(name), None, "{name}");
        }
        let long = "a".repeat(64);
        let longer = vec!["abcdefgh"; 30].join(".");
        let table = [
            ("", "name"),
            ("Alice", "'alice'"),
            ("fast_client", "'_'"),
            ("a b", "' '"),
            ("zoë", "character"),
            ("-a", "'-'"),
            ("a-", "'-'"),
            ("a..b", "dot"),
            (".a", "dot"),
            ("a.", "dot"),
            ("1.2.3.4", "address"),
            ("10", "address"),
            ("localhost", "itself"),
            (long.as_str(), "63"),
            (longer.as_str(), "253"),
        ];
        for (name, part) in table {
            assert!(objection(name).unwrap().contains(part), "{name}: {:?}", objection(name));
        }
    }

    #[test]
    fn addresses_come_in_the_order_of_names_and_skip_what_is_taken() {
        let wish = |text: &str| Some(text.parse().unwrap());
        let wishes = BTreeMap::from([
            ("c".to_owned(), None),
            ("a".to_owned(), None),
            ("b".to_owned(), wish("11.0.0.1")),
            ("d".to_owned(), wish("10.1.2.3")),
        ]);
        let given = assign(&wishes).unwrap();
        let shown: Vec<String> = given.iter().map(|(name, ip)| format!("{name} {ip}")).collect();
        assert_eq!(shown, ["a 11.0.0.2", "b 11.0.0.1", "c 11.0.0.3", "d 10.1.2.3"]);
        let many = (0..600).map(|number| (format!("h{number:03}"), None)).collect();
        let given = assign(&many).unwrap();
        assert_eq!(given["h253"], Ipv4Addr::new(11, 0, 0, 254));
        assert_eq!(given["h254"], Ipv4Addr::new(11, 0, 1, 1));
        assert_eq!(ipv6(Ipv4Addr::new(11, 0, 0, 1)).to_string(), "fd00:11::b00:1");
    }

    #[test]
    fn some_addresses_are_nobodys() {
        for text in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"] {
            assert!(address_objection(text.parse().unwrap()).is_some(), "{text}");
        }
        assert_eq!(address_objection(Ipv4Addr::new(100, 0, 0, 1)), None);
    }
}
