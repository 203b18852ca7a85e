//! The windows of rows, by looking at every row for every window.

use crate::world::Dice;
use std::collections::BTreeMap;

/// A loan event: amounts in cents.
#[derive(Debug, Clone)]
pub struct Row {
    pub time: i64,
    pub lender: Option<&'static str>,
    pub status: Option<i64>,
    pub amount: Option<i64>,
    pub score: Option<f64>,
}

impl Row {
    pub fn any(dice: &mut Dice, time: i64) -> Self {
        Self {
            time,
            lender: [Some("A"), Some("B"), Some(""), None][dice.below(4) as usize],
            status: (!dice.one_in(9)).then(|| dice.below(3)),
            amount: (!dice.one_in(7)).then(|| dice.below(2_000_000) - 1_000_000),
            score: (!dice.one_in(7)).then(|| dice.below(1_000) as f64 / 8.0),
        }
    }
}

/// A window of a key: its label, its start, the key.
pub type Place = (String, i64, Option<String>, Option<i64>);

/// What is published of it, as text: the columns' values.
pub type Said = Vec<String>;

/// The windows of `rows`; `kinds`: label, length, step.
pub fn windows(rows: &[Row], kinds: &[(&str, i64, i64)]) -> BTreeMap<Place, Said> {
    let mut members: BTreeMap<Place, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        for (label, length, step) in kinds {
            let mut start = row.time.div_euclid(*step) * step;
            while start + length > row.time {
                let place = (label.to_string(), start, row.lender.map(str::to_owned), row.status);
                members.entry(place).or_default().push(row);
                start -= step;
            }
        }
    }
    members.into_iter().map(|(place, rows)| (place, said(&rows))).collect()
}

fn said(rows: &[&Row]) -> Said {
    let amounts: Vec<i64> = rows.iter().filter_map(|r| r.amount).collect();
    let scores: Vec<f64> = rows.iter().filter_map(|r| r.score).collect();
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    let cents = |value: i64| {
        format!(
            "{}{}.{:02}",
            if value < 0 { "-" } else { "" },
            value.abs() / 100,
            value.abs() % 100
        )
    };
    vec![
        rows.len().to_string(),
        amounts.len().to_string(),
        text((!amounts.is_empty()).then(|| cents(amounts.iter().sum()))),
        text(amounts.iter().min().map(|v| cents(*v))),
        text(amounts.iter().max().map(|v| cents(*v))),
        text((!scores.is_empty()).then(|| format!("{:?}", scores.iter().sum::<f64>()))),
        text(
            (!scores.is_empty())
                .then(|| format!("{:?}", scores.iter().sum::<f64>() / scores.len() as f64)),
        ),
    ]
}
