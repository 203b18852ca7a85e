//! The newest value of each group, however rows come and are handed on.

use std::collections::BTreeMap;

use arrow::array::{BooleanArray, StringArray};

use super::*;

/// A small generator of its own (SplitMix64), so that a failing seed repeats anywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

type Row = (usize, Option<i64>, Option<String>);

/// Rows of so many groups; of one group no two rows have one revision, but for nulls.
fn rows(random: &mut Random, count: usize, groups: u64) -> Vec<Row> {
    (0..count)
        .map(|row| {
            let group = usize::try_from(random.below(groups)).unwrap();
            let revision = i64::try_from(random.below(50) * 1_000_000).unwrap() + row as i64;
            let value = (random.below(5) > 0).then(|| format!("value {row}"));
            (group, (random.below(20) > 0).then_some(revision), value)
        })
        .collect()
}

/// As a reader of the rows would find it: the group's first row, then any with a greater revision.
fn expected(rows: &[(&Row, bool)]) -> BTreeMap<usize, Option<String>> {
    let mut newest: BTreeMap<usize, &Row> = BTreeMap::new();
    for (row, _) in rows.iter().filter(|(_, is_in)| *is_in) {
        match newest.get(&row.0) {
            Some(known) if row.1 <= known.1 => {}
            Some(_) | None => {
                newest.insert(row.0, row);
            }
        }
    }
    newest.into_iter().map(|(group, row)| (group, row.2.clone())).collect()
}

fn columns(rows: &[Row]) -> (Vec<ArrayRef>, Vec<usize>) {
    let values = rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>();
    let revisions = rows.iter().map(|row| row.1).collect::<Int64Array>();
    (vec![Arc::new(values), Arc::new(revisions)], rows.iter().map(|row| row.0).collect())
}

#[track_caller]
fn assert_values(found: &ArrayRef, first: usize, expected: &BTreeMap<usize, Option<String>>) {
    let found = found.as_string::<i32>();
    for row in 0..found.len() {
        let value = found.is_valid(row).then(|| found.value(row).to_owned());
        let group = first + row;
        assert_eq!(value, expected.get(&group).cloned().flatten(), "group {group}");
    }
}

#[test]
fn the_newest_of_each_group_is_found_in_whatever_pieces_rows_come() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let groups = [1, 7, 3_000][usize::try_from(seed % 3).unwrap()];
        let count = usize::try_from(1 + random.below(200_000)).unwrap();
        let all = rows(&mut random, count, groups);
        let of = |rows: &[Row]| rows.iter().map(|row| row.0 + 1).max().unwrap_or(0);
        let mut left: &[Row] = &all;
        let mut whole = Groups::new(&DataType::Utf8);
        let mut parts = [Groups::new(&DataType::Utf8), Groups::new(&DataType::Utf8)];
        let mut seen = 0;
        let mut kept = Vec::new();
        while !left.is_empty() {
            let size = usize::try_from(1 + random.below(9_000)).unwrap().min(left.len());
            let (piece, rest) = left.split_at(size);
            left = rest;
            let (values, of_rows) = columns(piece);
            seen = seen.max(of(piece));
            let filter = (random.below(2) == 0).then(|| {
                let is_in = |_: &Row| match random.below(9) {
                    0 => None,
                    other => Some(other > 2),
                };
                piece.iter().map(is_in).collect::<BooleanArray>()
            });
            let filter = filter.as_ref();
            kept.extend(
                piece
                    .iter()
                    .enumerate()
                    .map(|(at, row)| (row, filter.is_none_or(|f| f.is_valid(at) && f.value(at)))),
            );
            whole.update_batch(&values, &of_rows, filter, seen).unwrap();
            // The same through one of two parts, some of it as states of single rows.
            let part = &mut parts[usize::try_from(random.below(2)).unwrap()];
            if random.below(3) == 0 {
                let states = part.convert_to_state(&values, filter).unwrap();
                part.merge_batch(&states, &of_rows, seen).unwrap();
            } else {
                part.update_batch(&values, &of_rows, filter, seen).unwrap();
            }
        }
        let expected = expected(&kept);
        assert!(whole.rows <= REPLACED_MAX * seen + REPLACED_MIN + 9_000, "{}", whole.rows);
        // First some groups, then the others.
        let some = usize::try_from(random.below(seen as u64)).unwrap();
        let first = whole.evaluate(EmitTo::First(some)).unwrap();
        assert_eq!(first.len(), some);
        assert_values(&first, 0, &expected);
        let rest = whole.evaluate(EmitTo::All).unwrap();
        assert_eq!(rest.len(), seen - some);
        assert_values(&rest, some, &expected);
        // And by way of states. Rows without a revision come first or not, as the parts do.
        let mut merged = Groups::new(&DataType::Utf8);
        for mut part in parts {
            let states = part.state(EmitTo::All).unwrap();
            let of_rows: Vec<usize> = (0..states[0].len()).collect();
            merged.merge_batch(&states, &of_rows, seen).unwrap();
        }
        let has_revision: Vec<bool> = (0..seen)
            .map(|group| {
                kept.iter().any(|(row, is_in)| *is_in && row.0 == group && row.1.is_some())
            })
            .collect();
        let values = merged.evaluate(EmitTo::All).unwrap();
        let values = values.as_string::<i32>();
        for group in (0..seen).filter(|group| has_revision[*group]) {
            let value = values.is_valid(group).then(|| values.value(group).to_owned());
            assert_eq!(value, expected[&group], "group {group}");
        }
    }
}

#[test]
fn rows_without_groups_are_one_group() {
    let mut one = One(Groups::new(&DataType::Utf8));
    assert!(one.evaluate().unwrap().is_null());
    let row = |revision, value: &str| (0, revision, Some(value.to_owned()));
    let (values, _) = columns(&[row(None, "none"), row(Some(3), "three"), row(Some(2), "two")]);
    one.update_batch(&values).unwrap();
    let states: Vec<ArrayRef> =
        one.state().unwrap().iter().map(|state| state.to_array().unwrap()).collect();
    let (values, _) = columns(&[row(Some(1), "one")]);
    let mut other = One(Groups::new(&DataType::Utf8));
    other.update_batch(&values).unwrap();
    other.merge_batch(&states).unwrap();
    assert_eq!(other.evaluate().unwrap(), ScalarValue::from("three"));
}
