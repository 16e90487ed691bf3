//! Hosts that cannot reach each other, although a path joins them.
//!
//! Sets of hosts in, whether a packet from a host to a host is stopped out. Always true: a host that stands on no side
//! of a barrier notices nothing of it, and where several barriers are up each stops what it stops. A network that falls
//! apart is a barrier both ways between its parts; a host that only hears is one from it to the others. Edges that are
//! cut are not here: they are [`Routes::change`](super::Routes::change)'s, and packets find their way round them.

/// A barrier that is up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BarrierId(u64);

/// All barriers that are up.
#[derive(Clone, Debug, Default)]
pub struct Barriers {
    last: u64,
    up: Vec<Barrier>,
}

#[derive(Clone, Debug)]
struct Barrier {
    id: BarrierId,
    /// For each host, by its number, on which sides it is.
    sides: Vec<[bool; 2]>,
    is_both_ways: bool,
}

impl Barriers {
    /// From now on no packet passes from a host of `from` to one of `to`, nor back if `is_both_ways`. Hosts are numbers,
    /// such as their positions in a scenario.
    pub fn raise(
        &mut self,
        from: impl IntoIterator<Item = usize>,
        to: impl IntoIterator<Item = usize>,
        is_both_ways: bool,
    ) -> BarrierId {
        let mut sides = Vec::new();
        let members =
            from.into_iter().map(|host| (host, 0)).chain(to.into_iter().map(|host| (host, 1)));
        for (host, side) in members {
            if sides.len() <= host {
                sides.resize(host + 1, [false; 2]);
            }
            sides[host][side] = true;
        }
        self.last += 1;
        let id = BarrierId(self.last);
        self.up.push(Barrier { id, sides, is_both_ways });
        id
    }

    /// Take a barrier away; whether it was up.
    pub fn lower(&mut self, id: BarrierId) -> bool {
        let before = self.up.len();
        self.up.retain(|barrier| barrier.id != id);
        self.up.len() < before
    }

    /// Whether a packet from a host to a host is stopped.
    pub fn stop(&self, from: usize, to: usize) -> bool {
        self.up.iter().any(|barrier| {
            let is_on =
                |host: usize, side: usize| barrier.sides.get(host).is_some_and(|on| on[side]);
            is_on(from, 0) && is_on(to, 1) || barrier.is_both_ways && is_on(from, 1) && is_on(to, 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_falls_apart_and_heals() {
        let mut barriers = Barriers::default();
        assert!(!barriers.stop(0, 1));
        let apart = barriers.raise([0, 1], [2, 3], true);
        for (from, to, is_stopped) in [(0, 2, true), (3, 1, true), (0, 1, false), (2, 3, false)] {
            assert_eq!(barriers.stop(from, to), is_stopped, "{from} to {to}");
        }
        assert!(!barriers.stop(0, 4) && !barriers.stop(4, 0), "nobody mentioned host 4");
        let deaf = barriers.raise([0], [1, 4], false);
        assert!(barriers.stop(0, 1) && !barriers.stop(1, 0) && barriers.stop(0, 4));
        assert!(barriers.lower(apart) && !barriers.lower(apart));
        assert!(!barriers.stop(0, 2) && barriers.stop(0, 1));
        assert!(barriers.lower(deaf));
        assert!(!barriers.stop(0, 1));
    }
}
