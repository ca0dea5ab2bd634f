//! Finds few rectangles that cover a relation: pairs of user and tool as a few sets of users times sets of tools.

use std::collections::{BTreeMap, BTreeSet};

/// The most rectangles from which a cover is chosen. Larger relations get a good cover, not always the shortest.
const CANDIDATES_MAX: usize = 2_000;

/// The most rectangles among which the shortest cover is searched exactly: all their 65,536 subsets are tried.
const EXACT_MAX: usize = 16;

/// Users, and tools that all of them used.
pub(super) type Rectangle = (BTreeSet<usize>, BTreeSet<usize>);

/// Covers a relation from rows to columns with few rectangles that hold nothing else.
pub(super) fn cover(rows: &[BTreeSet<usize>]) -> Vec<Rectangle> {
    let candidates = candidates(rows);
    let by_row = grouped(rows);
    let mut columns = BTreeMap::<usize, BTreeSet<usize>>::new();
    for (row, set) in rows.iter().enumerate() {
        for column in set {
            columns.entry(*column).or_default().insert(row);
        }
    }
    let (names, sets): (Vec<usize>, Vec<BTreeSet<usize>>) = columns.into_iter().unzip();
    let by_column = grouped(&sets)
        .into_iter()
        .map(|(columns, rows)| (rows, columns.into_iter().map(|column| names[column]).collect()));
    let by_column = by_column.collect::<Vec<Rectangle>>();
    let greedy = greedy(rows, &candidates);
    let exact = if candidates.len() <= EXACT_MAX { exact(rows, &candidates) } else { None };
    [exact, Some(by_row), Some(by_column), Some(greedy)].into_iter().flatten().min_by_key(Vec::len).unwrap_or_default()
}

/// Joins the rows that have the same columns.
fn grouped(rows: &[BTreeSet<usize>]) -> Vec<Rectangle> {
    let mut groups = BTreeMap::<&BTreeSet<usize>, BTreeSet<usize>>::new();
    for (row, columns) in rows.iter().enumerate().filter(|(_, columns)| !columns.is_empty()) {
        groups.entry(columns).or_default().insert(row);
    }
    groups.into_iter().map(|(columns, rows)| (rows, columns.clone())).collect()
}

/// Returns the largest rectangles: the intersections of rows, each with all rows that have these columns.
fn candidates(rows: &[BTreeSet<usize>]) -> Vec<Rectangle> {
    let mut sets = BTreeSet::<BTreeSet<usize>>::new();
    for row in rows.iter().filter(|row| !row.is_empty()) {
        let more = sets.iter().map(|set| set & row).filter(|set| !set.is_empty()).collect::<Vec<_>>();
        sets.insert(row.clone());
        sets.extend(more.into_iter().take(CANDIDATES_MAX.saturating_sub(sets.len())));
    }
    let rows_of = |columns: &BTreeSet<usize>| {
        (0..rows.len()).filter(|row| columns.is_subset(&rows[*row])).collect::<BTreeSet<_>>()
    };
    sets.into_iter().map(|columns| (rows_of(&columns), columns)).collect()
}

/// Takes the rectangle that covers most of what is left, again and again.
fn greedy(rows: &[BTreeSet<usize>], candidates: &[Rectangle]) -> Vec<Rectangle> {
    let mut left = rows.to_vec();
    let mut taken = Vec::new();
    while left.iter().any(|columns| !columns.is_empty()) {
        let gain = |(rows, columns): &&Rectangle| rows.iter().map(|row| left[*row].intersection(columns).count()).sum();
        let Some(best) = candidates.iter().max_by_key::<usize, _>(gain) else { break };
        best.0.iter().for_each(|row| left[*row] = &left[*row] - &best.1);
        taken.push(best.clone());
    }
    taken
}

/// Tries all sets of rectangles, the small ones first.
fn exact(rows: &[BTreeSet<usize>], candidates: &[Rectangle]) -> Option<Vec<Rectangle>> {
    let picked = |bits: u32| candidates.iter().enumerate().filter(move |(n, _)| bits & 1 << n != 0).map(|(_, one)| one);
    let covers = |bits: &u32| {
        rows.iter().enumerate().all(|(row, columns)| {
            let with_row = picked(*bits).filter(|(rows, _)| rows.contains(&row));
            with_row.flat_map(|(_, columns)| columns).collect::<BTreeSet<_>>().len() == columns.len()
        })
    };
    let mut all = (0..1_u32 << candidates.len()).collect::<Vec<_>>();
    all.sort_by_key(|bits| bits.count_ones());
    all.into_iter().find(covers).map(|bits| picked(bits).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shortest_cover_is_found() {
        let check = |rows: &[&[usize]], expected: usize| {
            let rows = rows.iter().map(|row| row.iter().copied().collect()).collect::<Vec<_>>();
            assert_eq!(cover(&rows).len(), expected, "{rows:?}");
        };
        check(&[], 0);
        check(&[&[]], 0);
        check(&[&[1, 2, 3]], 1);
        check(&[&[1], &[1], &[1]], 1);
        check(&[&[1], &[2]], 2);
        check(&[&[1, 2], &[2, 3], &[1, 2, 3]], 2);
        check(&[&[1, 2], &[1, 2], &[3], &[3, 4]], 3);
    }

    proptest! {
        #[test]
        fn a_cover_holds_every_pair_and_nothing_else(
            rows in prop::collection::vec(prop::collection::btree_set(0_usize..8, 0..6), 0..8),
        ) {
            let cover = cover(&rows);
            let pairs = cover.iter().flat_map(|(rows, columns)| {
                rows.iter().flat_map(move |row| columns.iter().map(move |column| (*row, *column)))
            });
            let expected = rows.iter().enumerate().flat_map(|(row, set)| set.iter().map(move |column| (row, *column)));
            prop_assert_eq!(pairs.collect::<BTreeSet<_>>(), expected.collect::<BTreeSet<_>>());
        }
    }
}
