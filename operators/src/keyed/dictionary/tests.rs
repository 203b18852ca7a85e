use super::*;
use arrow::array::StringArray;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What happens to a dictionary, and to what was saved of it.
#[derive(Debug, Clone)]
enum Event {
    /// Rows of these keys come, and the epoch is saved.
    Rows(Vec<i64>),
    /// A snapshot is made, at which these keys are forgotten; with `false` it is never committed.
    Snapshot(BTreeSet<i64>, bool),
    /// The newest committed snapshot and the epochs since are taken back.
    Restore,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let key = || 0_i64..30;
    let event = prop_oneof![
        4 => proptest::collection::vec(key(), 1..20).prop_map(Event::Rows),
        2 => (proptest::collection::btree_set(key(), 0..20), any::<bool>())
            .prop_map(|(keys, kept)| Event::Snapshot(keys, kept)),
        1 => Just(Event::Restore),
    ];
    proptest::collection::vec(event, 1..40)
}

/// One column of numbers (29 is null) or of text.
fn column(keys: &[i64], is_text: bool) -> Vec<ArrayRef> {
    let present = keys.iter().map(|key| (*key != 29).then_some(*key));
    vec![if is_text {
        Arc::new(StringArray::from_iter(
            present.map(|key| key.map(|key| "k".repeat(key as usize % 7) + &key.to_string())),
        ))
    } else {
        Arc::new(Int64Array::from_iter(present))
    }]
}

fn types(is_text: bool) -> [DataType; 1] {
    [if is_text { DataType::Utf8 } else { DataType::Int64 }]
}

fn dictionary(is_text: bool) -> Dictionary {
    Dictionary::new(&types(is_text).iter().collect::<Vec<_>>())
}

proptest! {
    /// A number is one key's at a time, from when it is given until the key is forgotten, whatever
    /// is restored; and numbers that are free are given again.
    #[test]
    fn numbers_are_one_keys_at_a_time(events in events(), is_text in any::<bool>()) {
        let mut dictionary_now = dictionary(is_text);
        // By key, its number as it must be; what is not here may be forgotten or not.
        let mut known: BTreeMap<i64, u32> = BTreeMap::new();
        let (mut snapshot, mut changes): (Option<RecordBatch>, Vec<RecordBatch>) =
            (None, Vec::new());
        for event in events {
            match event {
                Event::Rows(keys) => {
                    let ids = dictionary_now.number(&column(&keys, is_text)).expect("keys");
                    for (key, id) in keys.iter().zip(ids) {
                        prop_assert_eq!(*known.entry(*key).or_insert(id), id);
                    }
                    let different: BTreeSet<&u32> = known.values().collect();
                    prop_assert_eq!(different.len(), known.len(), "{:?}", known);
                    changes.extend(dictionary_now.take_new().expect("new keys"));
                }
                Event::Snapshot(forgotten, is_committed) => {
                    let ids: BTreeSet<u32> =
                        forgotten.iter().filter_map(|key| known.remove(key)).collect();
                    let ids = &ids;
                    dictionary_now.forget(|id| !ids.contains(&id.0));
                    if is_committed {
                        snapshot = Some(dictionary_now.all().expect("all keys"));
                        changes.clear();
                    }
                }
                Event::Restore => {
                    dictionary_now = dictionary(is_text);
                    let saved: Vec<&RecordBatch> = snapshot.iter().chain(&changes).collect();
                    dictionary_now.restore(&saved, &ShardSet::ALL).expect("saved keys");
                }
            }
            let living = dictionary_now.living();
            let count: usize = living.iter().flatten().filter(|living| **living).count();
            prop_assert_eq!(count, dictionary_now.all().expect("all keys").num_rows());
            for id in known.values() {
                let id = KeyId(*id);
                prop_assert!(living[usize::from(id.shard().0)][id.local()]);
            }
        }
    }
}

#[test]
fn ever_new_keys_take_no_more_room_than_those_that_are_kept() {
    for is_text in [false, true] {
        let mut dictionary = dictionary(is_text);
        let mut bytes = Vec::new();
        for round in 0_i64..20 {
            let keys: Vec<i64> = (0..10_000).map(|key| 100 + round * 10_000 + key).collect();
            let ids: BTreeSet<u32> =
                dictionary.number(&column(&keys, is_text)).expect("keys").into_iter().collect();
            assert_eq!(ids.len(), keys.len());
            dictionary.take_new().expect("new keys");
            dictionary.forget(|id| ids.contains(&id.0));
            bytes.push(dictionary.bytes());
        }
        let most = |rounds: std::ops::Range<usize>| bytes[rounds].iter().max().copied();
        assert!(most(12..20) <= most(4..12), "{bytes:?}");
        assert!(dictionary.counts().iter().sum::<u32>() <= 30_000, "numbers are given again");
        dictionary.forget(|_| false);
        assert!(dictionary.bytes() < bytes[19] / 3, "{} of {}", dictionary.bytes(), bytes[19]);
    }
}

#[test]
fn a_burst_of_keys_leaves_no_room_behind() {
    for is_text in [false, true] {
        let mut dictionary = dictionary(is_text);
        let mut bytes = Vec::new();
        let mut next = 0;
        for round in 0..12 {
            let new = if round == 5 { 60_000 } else { 10_000 };
            let keys: Vec<i64> = (next..next + new).collect();
            next += new;
            let ids: BTreeSet<u32> =
                dictionary.number(&column(&keys, is_text)).expect("keys").into_iter().collect();
            dictionary.take_new().expect("new keys");
            dictionary.forget(|id| ids.contains(&id.0));
            bytes.push((dictionary.bytes(), dictionary.counts().iter().sum::<u32>()));
        }
        assert!(bytes[5].1 >= 60_000 && bytes[5].0 > bytes[4].0 * 3, "{bytes:?}");
        let most = |rounds: std::ops::Range<usize>| {
            bytes[rounds].iter().map(|(bytes, _)| *bytes).max().unwrap_or_default()
        };
        assert!(most(8..12) <= most(1..5) * 11 / 10 && bytes[11].1 <= 30_000, "{bytes:?}");
    }
}
