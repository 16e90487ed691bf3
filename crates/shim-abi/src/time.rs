//! Simulated time: [`SimTime`] since the simulation's start, [`SimDuration`] between two of them.
//!
//! Numbers of nanoseconds in, the same numbers typed out. Always true: arithmetic saturates, so that
//! a guest that asks to sleep for ever gets the end of time, not the past. The mapping to the
//! calendar and to the clocks of Linux is not here: a host's oscillator is [`crate::clock`], its clocks
//! are policy (`shim-kernel`), and the guest's quick answer is `src/local/clock.rs`.

/// Nanoseconds in a second.
pub const NS_PER_SEC: u64 = 1_000_000_000;

/// An instant: nanoseconds since the simulation's start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[repr(transparent)]
pub struct SimTime(u64);

/// A difference of two instants, in nanoseconds; never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[repr(transparent)]
pub struct SimDuration(u64);

impl SimTime {
    /// The simulation's start.
    pub const ZERO: SimTime = SimTime(0);
    /// The end of time: what never happens is due then.
    pub const MAX: SimTime = SimTime(u64::MAX);

    /// The instant `ns` nanoseconds after the start.
    pub const fn from_ns(ns: u64) -> Self {
        SimTime(ns)
    }
    /// Nanoseconds since the start.
    pub const fn as_ns(self) -> u64 {
        self.0
    }
    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: SimTime) -> SimDuration {
        SimDuration(self.0.saturating_sub(earlier.0))
    }
}

impl SimDuration {
    /// No time at all.
    pub const ZERO: SimDuration = SimDuration(0);
    /// Longer than any simulation.
    pub const MAX: SimDuration = SimDuration(u64::MAX);

    /// `ns` nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        SimDuration(ns)
    }
    /// `secs` seconds.
    pub const fn from_secs(secs: u64) -> Self {
        SimDuration(secs.saturating_mul(NS_PER_SEC))
    }
    /// This duration in nanoseconds.
    pub const fn as_ns(self) -> u64 {
        self.0
    }
}

impl core::ops::Add<SimDuration> for SimTime {
    type Output = SimTime;
    fn add(self, d: SimDuration) -> SimTime {
        SimTime(self.0.saturating_add(d.0))
    }
}

impl core::ops::Add for SimDuration {
    type Output = SimDuration;
    fn add(self, d: SimDuration) -> SimDuration {
        SimDuration(self.0.saturating_add(d.0))
    }
}

/// Shown as seconds with nine decimals, as traces and messages print it.
impl core::fmt::Display for SimTime {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{:09}", self.0 / NS_PER_SEC, self.0 % NS_PER_SEC)
    }
}
