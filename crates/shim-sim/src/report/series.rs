//! What happened in each interval of a run, and its outline.
//!
//! Instants with amounts in, bins of equal length out, and from these the path of an SVG. Always true: there are [`BINS`] of
//! them however long the run is, so memory and the page are bounded; what comes at or behind the end is in the last one. Where a
//! path stands on a page is `plots`'.

use super::units::coordinate;

/// So many intervals has a run.
pub(super) const BINS: usize = 600;

/// The width of a drawing, whatever its width on a screen.
pub(super) const WIDTH: f64 = 1000.0;

/// A sum for each interval.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Series {
    span_ns: u64,
    sums: Vec<f64>,
}

impl Series {
    /// Nothing has happened in `span_ns` from the beginning.
    pub(super) fn new(span_ns: u64) -> Series {
        Series { span_ns: span_ns.max(1), sums: vec![0.0; BINS] }
    }

    /// So many more at this instant.
    pub(super) fn add(&mut self, at_ns: u64, amount: u64) {
        self.sums[bin(at_ns, self.span_ns)] += amount as f64;
    }

    /// So many more, evenly from one instant to another.
    pub(super) fn spread(&mut self, from_ns: u64, until_ns: u64, amount: f64) {
        let until_ns = until_ns.min(self.span_ns);
        if amount <= 0.0 || until_ns <= from_ns {
            return;
        }
        let position = |ns: u64| ns as f64 / self.span_ns as f64 * BINS as f64;
        let (from, until) = (position(from_ns), position(until_ns));
        let density = amount / (until - from);
        for index in bin(from_ns, self.span_ns)..=bin(until_ns - 1, self.span_ns) {
            let overlap = until.min(index as f64 + 1.0) - from.max(index as f64);
            self.sums[index] += density * overlap.max(0.0);
        }
    }

    /// Another's amounts are this one's, too.
    pub(super) fn join(&mut self, other: &Series) {
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, more)| *sum += more);
    }

    /// Whether nothing has happened.
    pub(super) fn is_empty(&self) -> bool {
        self.sums.iter().all(|sum| *sum == 0.0)
    }

    /// The most that there was in an interval, per second.
    pub(super) fn peak_per_second(&self) -> f64 {
        self.sums.iter().copied().fold(0.0, f64::max) * BINS as f64 / (self.span_ns as f64 / 1e9)
    }

    /// The outline of an area between `base` and `base + height`, which is where `most_per_second` stands.
    pub(super) fn area(&self, most_per_second: f64, base: f64, height: f64) -> String {
        let per_second = BINS as f64 / (self.span_ns as f64 / 1e9);
        let level = |sum: f64| match most_per_second > 0.0 {
            true => base + (sum * per_second / most_per_second).min(1.0) * height,
            false => base,
        };
        outline(self.sums.iter().map(|sum| level(*sum)), base)
    }
}

/// Steps of equal width at these levels, down to `base` at both ends and wherever nothing is.
fn outline(levels: impl Iterator<Item = f64>, base: f64) -> String {
    let mut path = String::new();
    let mut before = base;
    let mut write = |kind: char, values: &[f64]| {
        path.push(kind);
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                path.push(' ');
            }
            coordinate(&mut path, *value);
        }
    };
    for (index, level) in levels.chain([base]).enumerate() {
        if level == before {
            continue;
        }
        let x = index as f64 / BINS as f64 * WIDTH;
        if before == base {
            write('M', &[x, base]);
        } else {
            write('H', &[x]);
        }
        write('V', &[level]);
        before = level;
    }
    path
}

/// Lengths of time, by the interval in which they were measured.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Samples {
    span_ns: u64,
    bins: Vec<Bin>,
    most_ns: u64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Bin {
    least: u64,
    most: u64,
    sum: u64,
    count: u64,
}

impl Samples {
    /// None in `span_ns` from the beginning.
    pub(super) fn new(span_ns: u64) -> Samples {
        let bin = Bin { least: u64::MAX, most: 0, sum: 0, count: 0 };
        Samples { span_ns: span_ns.max(1), bins: vec![bin; BINS], most_ns: 0 }
    }

    /// One more.
    pub(super) fn add(&mut self, at_ns: u64, length_ns: u64) {
        let bin = &mut self.bins[bin(at_ns, self.span_ns)];
        bin.least = bin.least.min(length_ns);
        bin.most = bin.most.max(length_ns);
        bin.sum = bin.sum.saturating_add(length_ns);
        bin.count += 1;
        self.most_ns = self.most_ns.max(length_ns);
    }

    /// The longest.
    pub(super) fn most_ns(&self) -> u64 {
        self.most_ns
    }

    /// The middle, the number of all, and the shortest.
    pub(super) fn figures(&self) -> Option<(u64, u64, u64)> {
        let count: u64 = self.bins.iter().map(|bin| bin.count).sum();
        let sum: u128 = self.bins.iter().map(|bin| u128::from(bin.sum)).sum();
        let least = self.bins.iter().map(|bin| bin.least).min()?;
        let mean = sum.checked_div(u128::from(count))?;
        Some((u64::try_from(mean).unwrap_or(u64::MAX), count, least))
    }

    /// Two paths for a drawing of this height, at whose top `top_ns` stands: the means as points, and lines from the least to
    /// the most.
    pub(super) fn paths(&self, top_ns: u64, height: f64) -> (String, String) {
        let (mut points, mut lines) = (String::new(), String::new());
        let y = |ns: u64| height - (ns as f64 / top_ns.max(1) as f64).min(1.0) * height;
        let filled = self.bins.iter().enumerate().filter(|(_, bin)| bin.count > 0);
        for (index, bin) in filled {
            let x = (index as f64 + 0.5) / BINS as f64 * WIDTH;
            let mean = bin.sum / bin.count;
            let place = |path: &mut String, y: f64| {
                path.push('M');
                coordinate(path, x);
                path.push(' ');
                coordinate(path, y);
            };
            place(&mut points, y(mean));
            points.push_str("h0");
            if bin.least < bin.most {
                place(&mut lines, y(bin.least));
                lines.push('V');
                coordinate(&mut lines, y(bin.most));
            }
        }
        (points, lines)
    }
}

fn bin(at_ns: u64, span_ns: u64) -> usize {
    let index = u128::from(at_ns) * BINS as u128 / u128::from(span_ns);
    usize::try_from(index).unwrap_or(usize::MAX).min(BINS - 1)
}

/// Where an instant stands in a drawing.
pub(super) fn x_of(at_ns: u64, span_ns: u64) -> f64 {
    (at_ns as f64 / span_ns.max(1) as f64).min(1.0) * WIDTH
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: u64 = BINS as u64 * 10;

    #[test]
    fn amounts_are_in_the_interval_of_their_instant() {
        let mut series = Series::new(SPAN);
        assert!(series.is_empty());
        for (at, amount) in [(0, 1), (9, 2), (10, 4), (SPAN - 1, 8), (SPAN, 16), (u64::MAX, 32)] {
            series.add(at, amount);
        }
        assert_eq!([series.sums[0], series.sums[1], series.sums[BINS - 1]], [3.0, 4.0, 56.0]);
        assert_eq!(series.peak_per_second(), 56.0 / 10e-9);
        let mut both = series.clone();
        both.join(&series);
        assert_eq!(both.sums[1], 8.0);
    }

    #[test]
    fn what_is_known_of_long_intervals_only_is_spread() {
        let mut series = Series::new(SPAN);
        series.spread(5, 25, 40.0);
        assert_eq!(series.sums[..4], [10.0, 20.0, 10.0, 0.0]);
        series.spread(SPAN - 10, SPAN + 90, 7.0);
        assert!((series.sums[BINS - 1] - 7.0).abs() < 1e-9);
        series.spread(SPAN, SPAN + 10, 7.0);
        series.spread(9, 9, 7.0);
        assert!((series.sums.iter().sum::<f64>() - 47.0).abs() < 1e-9);
    }

    #[test]
    fn outlines_leave_out_what_is_empty() {
        let mut series = Series::new(SPAN);
        assert_eq!(series.area(1.0, 50.0, -50.0), "");
        series.add(30, 5);
        series.add(40, 10);
        let half = 10.0 / 10e-9;
        assert_eq!(series.area(half, 50.0, -50.0), "M5 50V25H6.66667V0H8.33333V50");
        series.add(SPAN, 10);
        assert!(series.area(half, 50.0, -50.0).ends_with("M998.33333 50V0H1000V50"));
    }

    #[test]
    fn lengths_are_points_and_lines() {
        let mut samples = Samples::new(SPAN);
        assert_eq!(samples.figures(), None);
        samples.add(0, 10);
        samples.add(5, 30);
        samples.add(SPAN, 40);
        assert_eq!((samples.most_ns(), samples.figures()), (40, Some((26, 3, 10))));
        let (points, lines) = samples.paths(40, 100.0);
        assert_eq!(points, "M0.83333 50h0M999.16667 0h0");
        assert_eq!(lines, "M0.83333 75V25");
    }
}
