//! The loop that most steps run in: counts and 64-bit sums of rows in time order.
//!
//! For each row, in order: every edge takes in the rows that have reached its age, the row's key takes in the row, and each window's numbers
//! are written out as head minus tail. The number of lanes is a constant to the compiler; nothing is allocated.

use riskstream_engine::history::{Chunk, Tail};
use riskstream_engine::ids::KeyId;

/// The most lanes (rows and sums) that the loop is built for.
pub(super) const LANES_MAX: usize = 4;

/// What the loop needs to know of the step.
pub(super) struct Shape<'a> {
    /// Per lane but the first, which counts rows: the kept column that is summed.
    pub(super) sums: &'a [usize],
    pub(super) edges: usize,
    /// Per window, the edge at which rows leave.
    pub(super) tails: &'a [usize],
    /// Whether rows enter the first edge at once, and whether before the windows are read.
    pub(super) undelayed: bool,
    pub(super) include: bool,
}

struct Reader<'a, const L: usize> {
    age: i64,
    times: &'a [i64],
    keys: &'a [u32],
    sums: [&'a [i64]; L],
    row: usize,
    more: bool,
    /// The edge's place within a key's numbers.
    base: usize,
}

fn columns<'a, const L: usize>(chunk: &'a Chunk, sums: &[usize]) -> [&'a [i64]; L] {
    std::array::from_fn(|lane| match lane.checked_sub(1).and_then(|s| sums.get(s)) {
        Some(column) => chunk.columns[*column].narrow().unwrap_or(&[]),
        None => &[],
    })
}

#[expect(clippy::needless_range_loop, reason = "lanes of several arrays, counted by a constant")]
/// Processes rows of `rows` from `from` on, until a row at or after `due` or `upto`, or until an edge has used up its chunk; returns the first row that was not
/// processed. Each row's numbers go to `out` (windows × lanes per row; `out` starts at the range's first row).
pub(super) fn run<const L: usize>(
    shape: &Shape<'_>,
    shards: &mut [Vec<i64>],
    rows: &Chunk,
    range: std::ops::Range<usize>,
    tails: &mut [Tail],
    due: i64,
    out: &mut [i64],
) -> usize {
    let mut readers: Vec<Reader<'_, L>> = tails
        .iter()
        .map(|tail| {
            let (times, keys, sums): (&[i64], &[u32], _) = match &tail.chunk {
                Some(chunk) => (&chunk.times, &chunk.keys, columns::<L>(chunk, shape.sums)),
                None => (&[], &[], [&[][..]; L]),
            };
            Reader { age: tail.age, times, keys, sums, row: tail.row.min(times.len()), more: tail.more, base: tail.edge * L }
        })
        .collect();
    let own = columns::<L>(rows, shape.sums);
    let stride = shape.edges * L;
    let mut written = out.chunks_exact_mut(shape.tails.len() * L);
    let mut done = range.start;
    'rows: for (at, (&time, &key)) in rows.times[range.clone()].iter().zip(&rows.keys[range.clone()]).enumerate() {
        let at = range.start + at;
        if time >= due {
            break;
        }
        for reader in &mut readers {
            let limit = time - reader.age;
            while let Some(&passing) = reader.times.get(reader.row) {
                if passing > limit {
                    break;
                }
                let key = KeyId(reader.keys[reader.row]);
                let base = key.local() * stride + reader.base;
                let numbers = &mut shards[usize::from(key.shard().0)][base..base + L];
                numbers[0] += 1;
                for lane in 1..L {
                    numbers[lane] = numbers[lane].wrapping_add(reader.sums[lane][reader.row]);
                }
                reader.row += 1;
            }
            if reader.row == reader.times.len() && reader.more {
                break 'rows;
            }
        }
        let key = KeyId(key);
        let base = key.local() * stride;
        let numbers = &mut shards[usize::from(key.shard().0)][base..base + stride];
        let enter = |numbers: &mut [i64]| {
            numbers[0] += 1;
            for lane in 1..L {
                numbers[lane] = numbers[lane].wrapping_add(own[lane][at]);
            }
        };
        if shape.include {
            enter(numbers);
        }
        if let Some(shown) = written.next() {
            for (window, shown) in shape.tails.iter().zip(shown.chunks_exact_mut(L)) {
                let tail = &numbers[window * L..window * L + L];
                for lane in 0..L {
                    shown[lane] = numbers[lane].wrapping_sub(tail[lane]);
                }
            }
        }
        if shape.undelayed && !shape.include {
            enter(numbers);
        }
        done = at + 1;
    }
    let moved: Vec<usize> = readers.iter().map(|r| r.row).collect();
    for (tail, row) in tails.iter_mut().zip(moved) {
        tail.row = row;
    }
    done
}
