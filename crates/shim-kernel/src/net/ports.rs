//! Who uses which port: claims that exclude each other or do not.
//!
//! Claims in, verdicts out. Always true: equal claims are counted, not listed, so that ten thousand connections of one
//! server cost no more than one; the tables of the protocols know nothing of each other. The rules are Linux's:
//! SO_REUSEADDR lets claims of TCP be shared by those that do not listen, and claims of UDP by all; SO_REUSEPORT by
//! those of one user.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use shim_abi::random::Stream;

/// Ports that are given to whoever asks for any: as in net.ipv4.ip_local_port_range.
const FIRST_EPHEMERAL: u16 = 32_768;
const EPHEMERAL_COUNT: u16 = 28_232;
/// Ports below this need privilege.
pub(crate) const FIRST_UNPRIVILEGED: u16 = 1024;

/// Which packets a socket without an address gets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Reach {
    V4,
    V6,
    Both,
}

/// How a socket uses its port: all that matters for others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Claim {
    /// At this address only.
    pub(crate) address: Option<IpAddr>,
    /// Without one: at those of which family.
    pub(crate) reach: Reach,
    /// SO_REUSEADDR.
    pub(crate) is_shared: bool,
    /// SO_REUSEPORT: whose.
    pub(crate) group: Option<u32>,
    pub(crate) is_listening: bool,
    /// Whether the port was asked for by connecting: another connection may have it, too.
    pub(crate) is_of_connection: bool,
}

impl Claim {
    fn overlaps(&self, other: &Claim) -> bool {
        match (self.address, other.address) {
            (Some(one), Some(two)) => one == two,
            (Some(address), None) => other.reaches(address.is_ipv4()),
            (None, Some(address)) => self.reaches(address.is_ipv4()),
            (None, None) => [true, false].iter().any(|&v4| self.reaches(v4) && other.reaches(v4)),
        }
    }
    fn reaches(&self, is_v4: bool) -> bool {
        match self.reach {
            Reach::Both => true,
            Reach::V4 => is_v4,
            Reach::V6 => !is_v4,
        }
    }
}

/// Whether connections decide, or every socket takes what comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rules {
    Stream,
    Datagram,
    /// As for datagrams, for those of UDP-Lite.
    Lite,
    /// As for datagrams, for identifiers of echoes.
    Echo,
}

/// All ports of one protocol.
#[derive(Debug)]
pub(crate) struct Ports {
    rules: Rules,
    /// How often each port is claimed so.
    claims: BTreeMap<(u16, Claim), u32>,
}

impl Ports {
    pub(crate) fn new(rules: Rules) -> Ports {
        Ports { rules, claims: BTreeMap::new() }
    }

    fn of(&self, port: u16) -> impl Iterator<Item = &Claim> {
        let lowest = Claim {
            address: None,
            reach: Reach::V4,
            is_shared: false,
            group: None,
            is_listening: false,
            is_of_connection: false,
        };
        self.claims
            .range((port, lowest)..)
            .take_while(move |((other, _), _)| *other == port)
            .map(|((_, claim), _)| claim)
    }

    /// Whether nobody forbids this claim.
    pub(crate) fn is_free(&self, port: u16, claim: &Claim) -> bool {
        self.of(port).all(|other| {
            let is_shared = claim.is_shared && other.is_shared;
            let is_shared = match self.rules {
                Rules::Stream => is_shared && !other.is_listening,
                Rules::Datagram | Rules::Lite | Rules::Echo => is_shared,
            };
            let is_grouped = claim.group.is_some() && claim.group == other.group;
            !claim.overlaps(other) || is_shared || is_grouped
        })
    }

    /// Whether a connection may use this port: only those do, or nobody.
    pub(crate) fn is_free_for_connection(&self, port: u16) -> bool {
        self.of(port).all(|other| other.is_of_connection)
    }

    pub(crate) fn add(&mut self, port: u16, claim: Claim) {
        *self.claims.entry((port, claim)).or_insert(0) += 1;
    }
    pub(crate) fn remove(&mut self, port: u16, claim: Claim) {
        if let Some(count) = self.claims.get_mut(&(port, claim)) {
            *count -= 1;
            if *count == 0 {
                self.claims.remove(&(port, claim));
            }
        }
    }

    /// A port that passes `is_good`: by chance, then the next ones.
    pub(crate) fn choose(
        &self,
        chance: &mut Stream,
        mut is_good: impl FnMut(&Ports, u16) -> bool,
    ) -> Option<u16> {
        let start = (chance.next_u64() % u64::from(EPHEMERAL_COUNT)) as u16;
        (0..EPHEMERAL_COUNT)
            .map(|step| FIRST_EPHEMERAL + (start + step) % EPHEMERAL_COUNT)
            .find(|&port| is_good(self, port))
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.claims.values().map(|&count| count as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};

    const ANY: Claim = Claim {
        address: None,
        reach: Reach::V4,
        is_shared: false,
        group: None,
        is_listening: false,
        is_of_connection: false,
    };

    fn at(last: u8) -> Claim {
        Claim { address: Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))), ..ANY }
    }

    #[test]
    fn claims_exclude_each_other_where_they_overlap() {
        let six = Claim { address: Some(IpAddr::V6(Ipv6Addr::LOCALHOST)), ..ANY };
        let [both, only] = [Reach::Both, Reach::V6].map(|reach| Claim { reach, ..ANY });
        for (one, other, is_free) in [
            (ANY, ANY, false),
            (ANY, at(1), false),
            (at(1), at(1), false),
            (at(1), at(2), true),
            (both, at(1), false),
            (both, ANY, false),
            (only, ANY, true),
            (only, six, false),
            (only, at(1), true),
            (six, at(1), true),
            (ANY, six, true),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                let mut ports = Ports::new(Rules::Stream);
                ports.add(80, one);
                assert_eq!(ports.is_free(80, &other), is_free, "{one:?} {other:?}");
                assert!(ports.is_free(81, &other) && ports.is_free(79, &other));
                ports.remove(80, one);
                assert!(ports.is_free(80, &other) && ports.count() == 0);
            }
        }
    }

    #[test]
    fn claims_are_shared_by_those_that_say_so() {
        let shared = Claim { is_shared: true, ..ANY };
        let listening = Claim { is_listening: true, ..shared };
        let grouped = Claim { group: Some(7), ..ANY };
        for (rules, one, other, is_free) in [
            (Rules::Stream, shared, shared, true),
            (Rules::Stream, shared, ANY, false),
            (Rules::Stream, listening, shared, false),
            (Rules::Stream, shared, listening, true),
            (Rules::Datagram, shared, shared, true),
            (Rules::Datagram, grouped, shared, false),
            (Rules::Stream, grouped, grouped, true),
            (Rules::Stream, grouped, Claim { group: Some(8), ..ANY }, false),
        ] {
            let mut ports = Ports::new(rules);
            ports.add(80, one);
            assert_eq!(ports.is_free(80, &other), is_free, "{rules:?} {one:?} {other:?}");
        }
    }

    #[test]
    fn chosen_ports_are_free() {
        let mut ports = Ports::new(Rules::Stream);
        let mut chance = Stream::named(1, &["ports"]);
        for _ in 0..EPHEMERAL_COUNT {
            let port = ports.choose(&mut chance, |ports, port| ports.is_free(port, &ANY));
            ports.add(port.expect("one is left"), ANY);
        }
        assert_eq!(ports.choose(&mut chance, |ports, port| ports.is_free(port, &ANY)), None);
        assert_eq!(ports.claims.len(), EPHEMERAL_COUNT.into());
    }
}
