//! Which seeds `shim explore` runs.
//!
//! Words such as `1..50`, `1..=50`, `7` or `3,10..20` in, seeds in ascending order out; and back. Always true: there is
//! at least one seed, none comes twice, and a list of millions takes no memory. What is done with a seed is
//! `attempt`'s.

use std::ops::RangeInclusive;

/// Some seeds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seeds(
    /// Sorted, apart from each other, none of them empty, at least one.
    Vec<RangeInclusive<u64>>,
);

impl Seeds {
    /// Read what a person wrote; ranges are as Rust has them: `A..B` is without B.
    pub fn parse(text: &str) -> Result<Seeds, String> {
        let mut ranges = text.split(',').map(parse_range).collect::<Result<Vec<_>, _>>()?;
        ranges.sort_by_key(|range| *range.start());
        let mut apart: Vec<RangeInclusive<u64>> = Vec::new();
        for range in ranges {
            match apart.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => apart.push(range),
            }
        }
        Ok(Seeds(apart))
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0_u64, |count, range| {
            count.saturating_add(range.end() - range.start()).saturating_add(1)
        })
    }

    /// The first.
    pub fn first(&self) -> u64 {
        self.0.first().map_or(0, |range| *range.start())
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(Clone::clone)
    }
}

/// These ascending seeds as [`Seeds::parse`] reads them.
pub fn list(seeds: &[u64]) -> String {
    let next_to_each_other = |a: &u64, b: &u64| a.checked_add(1) == Some(*b);
    let words = seeds.chunk_by(next_to_each_other).flat_map(|chunk| match chunk {
        [first, _, .., last] => vec![format!("{first}..={last}")],
        few => few.iter().map(u64::to_string).collect(),
    });
    words.collect::<Vec<_>>().join(",")
}

fn parse_range(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| {
        let text = text.trim();
        text.parse::<u64>().map_err(|_| {
            format!(
                "'{text}' is no seed: write numbers and ranges, as in 1..50, 1..=50 or 3,10..20"
            )
        })
    };
    let range = if let Some((first, last)) = text.split_once("..=") {
        number(first)?..=number(last)?
    } else if let Some((first, end)) = text.split_once("..") {
        let (first, end) = (number(first)?, number(end)?);
        let Some(last) = end.checked_sub(1) else { return Err(nothing(text)) };
        first..=last
    } else {
        let one = number(text)?;
        one..=one
    };
    if range.is_empty() { Err(nothing(text)) } else { Ok(range) }
}

fn nothing(text: &str) -> String {
    format!("there is no seed in '{}' (A..B is without B)", text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(text: &str) -> Vec<u64> {
        Seeds::parse(text).unwrap().iter().collect()
    }

    #[test]
    fn ranges_are_those_of_rust() {
        assert_eq!(seeds("1..4"), [1, 2, 3]);
        assert_eq!(seeds("1..=4"), [1, 2, 3, 4]);
        assert_eq!(seeds("7"), [7]);
        assert_eq!(seeds("9,3, 5..=6,4..6"), [3, 4, 5, 6, 9]);
        let most = u64::MAX;
        assert_eq!(seeds(&format!("{most},{most}..={most}")), [most]);
        let all = Seeds::parse(&format!("0..={most},5")).unwrap();
        assert_eq!((all.count(), all.first()), (most, 0));
        assert_eq!(Seeds::parse("9,3, 5..=6,4..6").unwrap().count(), 5);
    }

    #[test]
    fn nonsense_is_told() {
        for text in ["", "x", "1,", "-1", "1..", "..4", "18446744073709551616"] {
            let error = Seeds::parse(text).unwrap_err();
            assert!(error.contains("is no seed"), "{text}: {error}");
        }
        for text in ["4..4", "5..4", "5..=4", "0..0"] {
            let error = Seeds::parse(text).unwrap_err();
            assert!(error.contains("there is no seed"), "{text}: {error}");
        }
    }

    #[test]
    fn a_list_can_be_read_again() {
        for (some, text) in [
            (&[][..], ""),
            (&[3], "3"),
            (&[3, 4], "3,4"),
            (&[3, 4, 5, 9, 11, 12, 13, 14], "3..=5,9,11..=14"),
            (&[0, u64::MAX - 1, u64::MAX], "0,18446744073709551614,18446744073709551615"),
        ] {
            assert_eq!(list(some), text);
            assert!(some.is_empty() || seeds(text) == some);
        }
    }
}
