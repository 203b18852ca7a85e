//! What every row's features are, by scanning all rows that were processed before it.

use riskstream_operators::features::Function;

/// A row of the tests' input.
#[derive(Debug, Clone)]
pub struct Row {
    /// Unique; its source offset.
    pub id: i64,
    pub time: i64,
    pub tie: i64,
    pub key: Option<i64>,
    pub amount: Option<i64>,
    pub float: Option<f64>,
    pub text: Option<String>,
    pub late: bool,
}

/// A value, comparable bit for bit.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Integer(i128),
    Float(u64),
}

/// A step under test.
#[derive(Debug, Clone)]
pub struct Step {
    pub windows: Vec<i64>,
    pub delay: i64,
    pub include: bool,
    pub arrival: bool,
    pub features: Vec<(Function, Option<&'static str>)>,
    pub empty: Option<f64>,
}

fn integer(row: &Row, column: &str) -> Option<i128> {
    match column {
        "amount" => row.amount.map(i128::from),
        "float" => row.float.map(|f| (f * 1e9).round_ties_even() as i128),
        _ => None,
    }
}

fn value(row: &Row, column: &str) -> Value {
    let found = match column {
        "amount" => row.amount.map(|a| Value::Integer(a.into())),
        "float" => row.float.map(|f| Value::Float(f.to_bits())),
        _ => None,
    };
    found.unwrap_or(Value::Null)
}

fn over(function: Function, column: Option<&str>, rows: &[&Row], empty: Option<f64>) -> Value {
    let Some(column) = column else { return Value::Integer(rows.len() as i128) };
    let float = column == "float";
    let divisor = if float { 1e9 } else { 100.0 };
    let present: Vec<&&Row> =
        rows.iter().filter(|r| if column == "text" { r.text.is_some() } else { integer(r, column).is_some() }).collect();
    let numbers: Vec<i128> = present.iter().filter_map(|r| integer(r, column)).collect();
    let n = numbers.len() as f64;
    let sum: i128 = numbers.iter().sum();
    let best = |least: bool| {
        let order = |a: &&&&Row, b: &&&&Row| if float { a.float.unwrap().total_cmp(&b.float.unwrap()) } else { a.amount.cmp(&b.amount) };
        let best = if least { present.iter().min_by(order) } else { present.iter().max_by(order) };
        best.map_or(Value::Null, |r| value(r, column))
    };
    match function {
        Function::Count => Value::Integer(present.len() as i128),
        Function::Sum if numbers.is_empty() => Value::Null,
        Function::Sum if float => Value::Float((sum as f64 / 1e9).to_bits()),
        Function::Sum => Value::Integer(sum),
        Function::Mean if numbers.is_empty() => empty.map_or(Value::Null, |e| Value::Float(e.to_bits())),
        Function::Mean => Value::Float((sum as f64 / divisor / n).to_bits()),
        Function::StdDev if numbers.len() < 2 => Value::Null,
        Function::StdDev => {
            let squares: i128 = numbers.iter().map(|v| v * v).sum();
            let numerator = numbers.len() as i128 * squares - sum * sum;
            Value::Float(((numerator as f64 / (n * (n - 1.0))).sqrt() / divisor).to_bits())
        }
        Function::Min => best(true),
        Function::Max => best(false),
        Function::Distinct => {
            let mut different: Vec<String> = present
                .iter()
                .map(|r| if column == "text" { r.text.clone().unwrap() } else { format!("{:?}", value(r, column)) })
                .collect();
            different.sort();
            different.dedup();
            Value::Integer(different.len() as i128)
        }
        Function::Last => present.iter().max_by_key(|r| r.time).map_or(Value::Null, |r| value(r, column)),
        Function::SecondsSinceLast => Value::Null,
    }
}

/// The features of row `at` of `rows`, which are in the order of processing.
pub fn features(step: &Step, rows: &[Row], at: usize) -> Vec<Value> {
    let row = &rows[at];
    let mut out = Vec::new();
    for (function, column) in &step.features {
        if *function == Function::SecondsSinceLast {
            let before = rows[..at].iter().filter(|r| r.key == row.key && r.time <= row.time).map(|r| r.time).max();
            out.push(before.map_or(Value::Null, |b| Value::Float(((row.time - b) as f64 / 1e6).to_bits())));
            continue;
        }
        for window in &step.windows {
            let (after, upto) = (row.time - step.delay - window, row.time - step.delay);
            let seen = if step.include && step.delay == 0 { &rows[..=at] } else { &rows[..at] };
            let within: Vec<&Row> = seen.iter().filter(|r| r.key == row.key && r.time > after && r.time <= upto).collect();
            out.push(over(*function, *column, &within, step.empty));
        }
    }
    out
}
