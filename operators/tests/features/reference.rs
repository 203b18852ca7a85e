//! What every row's features are, by scanning all rows that were processed before it.

use crate::nearest::{fraction, nearest};
use num_bigint::BigInt;
use num_rational::BigRational;
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
    /// An Int64, a Decimal128(38, 2).
    pub whole: Option<i64>,
    pub large: Option<i128>,
    pub text: Option<String>,
    pub late: bool,
}

/// A value.
#[derive(Debug, Clone)]
pub enum Value {
    Null,
    /// A sum that its type does not hold.
    Unfit,
    Integer(i128),
    Float(u64),
    /// A float that is expected to within two units in the last place.
    About(f64),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null | Self::Unfit, Self::Null | Self::Unfit) => true,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Float(a), Self::About(b)) | (Self::About(b), Self::Float(a)) => {
                let a = f64::from_bits(*a);
                a.to_bits() == b.to_bits()
                    || (a - b).abs() <= (b.abs() * 2.0 * f64::EPSILON).max(f64::from_bits(2))
            }
            (Self::Null | Self::Unfit | Self::Integer(_) | Self::Float(_) | Self::About(_), _) => {
                false
            }
        }
    }
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
        "whole" => row.whole.map(i128::from),
        "large" => row.large,
        _ => None,
    }
}

fn is_there(row: &Row, column: &str) -> bool {
    match column {
        "text" => row.text.is_some(),
        "float" => row.float.is_some(),
        _ => integer(row, column).is_some(),
    }
}

fn value(row: &Row, column: &str) -> Value {
    match (integer(row, column), row.float) {
        (Some(integer), _) => Value::Integer(integer),
        (None, Some(float)) if column == "float" => Value::Float(float.to_bits()),
        _ => Value::Null,
    }
}

/// The square root to 200 bits.
fn root(value: &BigRational) -> BigRational {
    let scale = BigInt::from(1) << 1200;
    let square = value * BigRational::from_integer(&scale * &scale);
    BigRational::new(square.to_integer().sqrt(), scale)
}

/// Sum, mean or deviation of the numbers themselves, whatever unit they have.
fn of_numbers(function: Function, column: &str, present: &[&&Row]) -> Value {
    let floats: Vec<f64> =
        present.iter().filter_map(|r| r.float.filter(|_| column == "float")).collect();
    let is = |what: f64| floats.iter().any(|f| f.to_bits() == what.to_bits());
    let special = match (is(f64::NAN), is(f64::INFINITY), is(f64::NEG_INFINITY)) {
        (false, false, false) => None,
        (false, true, false) => Some(f64::INFINITY),
        (false, false, true) => Some(f64::NEG_INFINITY),
        _ => Some(f64::NAN),
    };
    if let Some(special) = special {
        return Value::Float(
            if function == Function::StdDev { f64::NAN } else { special }.to_bits(),
        );
    }
    let unit = if matches!(column, "amount" | "large") { 100 } else { 1 };
    let exact = |r: &&&Row| match integer(r, column) {
        Some(integer) => BigRational::new(integer.into(), unit.into()),
        None => fraction(r.float.unwrap()),
    };
    let numbers: Vec<BigRational> = present.iter().map(exact).collect();
    let n = BigRational::from_integer(numbers.len().into());
    let sum: BigRational = numbers.iter().sum();
    match function {
        Function::Mean => Value::About(nearest(&(sum / n))),
        Function::StdDev => {
            let one = BigRational::from_integer(1.into());
            let squares: BigRational = numbers.iter().map(|v| v * v).sum();
            Value::About(nearest(&root(&((&n * squares - &sum * &sum) / (&n * (&n - one))))))
        }
        _ if column == "float" => Value::Float(nearest(&sum).to_bits()),
        Function::Count
        | Function::Sum
        | Function::Min
        | Function::Max
        | Function::Distinct
        | Function::Last
        | Function::SecondsSinceLast => {
            let sum = sum * BigRational::from_integer(unit.into());
            let limit = if column == "whole" {
                BigInt::from(i64::MAX)
            } else {
                BigInt::from(10).pow(38) - 1
            };
            let least = if column == "whole" { BigInt::from(i64::MIN) } else { -limit.clone() };
            let sum = sum.to_integer();
            if least <= sum && sum <= limit {
                Value::Integer(i128::try_from(sum).unwrap())
            } else {
                Value::Unfit
            }
        }
    }
}

fn over(function: Function, column: Option<&str>, rows: &[&Row], empty: Option<f64>) -> Value {
    let Some(column) = column else { return Value::Integer(rows.len() as i128) };
    let present: Vec<&&Row> = rows.iter().filter(|r| is_there(r, column)).collect();
    let best = |least: bool| {
        let order = |a: &&&&Row, b: &&&&Row| match column {
            "float" => a.float.unwrap().total_cmp(&b.float.unwrap()),
            _ => integer(a, column).cmp(&integer(b, column)),
        };
        let best = if least { present.iter().min_by(order) } else { present.iter().max_by(order) };
        best.map_or(Value::Null, |r| value(r, column))
    };
    match function {
        Function::Count => Value::Integer(present.len() as i128),
        Function::Sum if present.is_empty() => Value::Null,
        Function::Mean if present.is_empty() => {
            empty.map_or(Value::Null, |e| Value::Float(e.to_bits()))
        }
        Function::StdDev if present.len() < 2 => Value::Null,
        Function::Sum | Function::Mean | Function::StdDev => of_numbers(function, column, &present),
        Function::Min => best(true),
        Function::Max => best(false),
        Function::Distinct => {
            let mut different: Vec<String> = present
                .iter()
                .map(|r| {
                    if column == "text" {
                        r.text.clone().unwrap()
                    } else {
                        format!("{:?}", value(r, column))
                    }
                })
                .collect();
            different.sort();
            different.dedup();
            Value::Integer(different.len() as i128)
        }
        Function::Last => {
            present.iter().max_by_key(|r| r.time).map_or(Value::Null, |r| value(r, column))
        }
        Function::SecondsSinceLast => Value::Null,
    }
}

/// The features of row `at` of `rows`, which are in the order of processing.
pub fn features(step: &Step, rows: &[Row], at: usize) -> Vec<Value> {
    let row = &rows[at];
    let mut out = Vec::new();
    for (function, column) in &step.features {
        if *function == Function::SecondsSinceLast {
            let before = rows[..at]
                .iter()
                .filter(|r| r.key == row.key && r.time <= row.time)
                .map(|r| r.time)
                .max();
            out.push(
                before
                    .map_or(Value::Null, |b| Value::Float(((row.time - b) as f64 / 1e6).to_bits())),
            );
            continue;
        }
        for window in &step.windows {
            let (after, upto) = (row.time - step.delay - window, row.time - step.delay);
            let seen = if step.include && step.delay == 0 { &rows[..=at] } else { &rows[..at] };
            let within: Vec<&Row> = seen
                .iter()
                .filter(|r| r.key == row.key && r.time > after && r.time <= upto)
                .collect();
            out.push(over(*function, *column, &within, step.empty));
        }
    }
    out
}
