//! Random numbers, and random conditions on the tests' tables.

use super::{APRIL, DAY};

/// SplitMix64: the same numbers for the same seed.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (value ^ (value >> 31)) % limit
    }

    fn near(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(to.abs_diff(from))).expect("small")
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).expect("small")]
    }

    /// A condition in SQL.
    pub(super) fn condition(&mut self, depth: u32) -> String {
        match self.below(if depth == 0 { 4 } else { 8 }) {
            0..4 => self.comparison(),
            4 | 5 => format!("({} and {})", self.condition(depth - 1), self.condition(depth - 1)),
            6 => format!("({} or {})", self.condition(depth - 1), self.condition(depth - 1)),
            _ => format!("not ({})", self.condition(depth - 1)),
        }
    }

    fn comparison(&mut self) -> String {
        let column = self.pick(&[
            "id",
            "small",
            "at",
            "amount",
            "wide",
            "name",
            "score",
            "ratio",
            "day",
            "note",
            "event_date",
            "flag",
        ]);
        if column == "flag" {
            return self.pick(&["flag", "not flag", "flag is null", "flag = false"]).to_owned();
        }
        match self.below(12) {
            0 => return format!("{column} is null"),
            1 => return format!("{column} is not null"),
            2 => return self.odd(),
            _ => {}
        }
        let literal = self.literal(column);
        match self.below(14) {
            0 | 1 => {
                let count = if self.below(3) == 0 { 30 } else { 3 };
                let list: Vec<String> = (0..count).map(|_| self.literal(column)).collect();
                let not = self.pick(&["", "", "not "]);
                format!("{column} {not}in ({})", list.join(", "))
            }
            2 => format!("{column} between {literal} and {}", self.literal(column)),
            3 => format!("{column} is distinct from {literal}"),
            4 => format!("{column} is not distinct from {literal}"),
            _ => {
                let operator = self.pick(&["=", "=", "=", "<>", "<", "<=", ">", ">="]);
                match self.below(4) {
                    0 => format!("{literal} {operator} {column}"),
                    _ => format!("{column} {operator} {literal}"),
                }
            }
        }
    }

    fn literal(&mut self, column: &str) -> String {
        match column {
            "id" => self.near(-250, 1200).to_string(),
            "small" => self.near(-5, 6).to_string(),
            "at" => self.instant(),
            "amount" => match self.below(3) {
                0 => format!("{}", self.near(-60, 200)),
                1 => format!("{}.{:02}", self.near(-60, 200), self.below(100)),
                _ => format!("{}.{:04}", self.near(-60, 200), self.below(10_000)),
            },
            "wide" => {
                let value = i128::from(self.near(-8, 30)) * 1_000_000_007_000_000_011;
                let off = i128::from(self.near(-1, 2));
                let value = value + off;
                let sign = if value < 0 { "-" } else { "" };
                let (whole, part) = (value.abs() / 10_000, value.abs() % 10_000);
                format!("cast('{sign}{whole}.{part:04}' as decimal(30, 4))")
            }
            "name" => format!("'kunde-ü-{:03}'", self.near(0, 110)),
            "score" => match self.below(12) {
                0 => "'NaN'::double".to_owned(),
                1 => "-0.0::double".to_owned(),
                2 => "'inf'::double".to_owned(),
                _ => format!("{}", self.near(-40, 80) as f64 / 16.0),
            },
            "ratio" => format!("{}", self.near(-1, 12) as f64 / 8.0),
            "day" | "event_date" => {
                let day = chrono::DateTime::from_timestamp((17_620 + self.near(0, 60)) * 86_400, 0);
                let day = day.expect("a day").format("%Y-%m-%d");
                let zoned = self.below(4) == 0;
                if zoned { format!("date '{day}'") } else { format!("'{day}'") }
            }
            _ => {
                let epoch = self.near(0, 22);
                match self.below(3) {
                    0 => format!("'{epoch:02}'"),
                    1 => format!("'{:=<40}{}'", format!("{epoch:02}"), self.below(4)),
                    _ => format!("'{:=<32}'", format!("{epoch:02}")),
                }
            }
        }
    }

    /// An instant in one of the forms that clients send.
    fn instant(&mut self) -> String {
        let micros = APRIL + self.near(-DAY, 8 * DAY);
        let at = chrono::DateTime::from_timestamp_micros(micros).expect("an instant");
        let berlin = at.with_timezone(&chrono::FixedOffset::east_opt(7200).expect("an offset"));
        match self.below(6) {
            0 => format!("'{}Z'", at.format("%Y-%m-%dT%H:%M:%S%.6f")),
            1 => format!("'{}{:03}Z'", at.format("%Y-%m-%dT%H:%M:%S%.6f"), self.below(1000)),
            2 => format!("'{}'", berlin.format("%Y-%m-%dT%H:%M:%S%.9f%:z")),
            3 => format!("timestamp '{}'", at.format("%Y-%m-%d %H:%M:%S%.9f")),
            4 => format!("timestamptz '{}'", berlin.format("%Y-%m-%d %H:%M:%S%.3f%:z")),
            _ => format!("'{}'", at.format("%Y-%m-%d")),
        }
    }

    /// Conditions with functions and casts, some of which do not keep the order of values.
    fn odd(&mut self) -> String {
        let id = self.near(-250, 1200);
        match self.below(14) {
            0 => format!("cast(at as date) = '2018-04-0{}'", 1 + self.below(8)),
            1 => format!("cast(at as time) < '{:02}:00:00'", self.below(24)),
            2 => format!("-id > {id}"),
            3 => format!("cast(small as boolean) = {}", self.pick(&["true", "false"])),
            4 => format!("cast(amount as double) > {id}.5"),
            5 => format!("cast(id as varchar) = '{id}'"),
            6 => format!("id + small > {id}"),
            7 => format!("name like 'kunde-ü-0{}%'", self.below(10)),
            8 => format!("name not like 'kunde-ü-0{}%'", self.below(10)),
            9 => format!("note like '{:02}=%'", self.below(22)),
            10 => format!("abs(id) < {}", id.abs()),
            11 => format!("date_trunc('day', at) = '2018-04-0{}T00:00:00Z'", 1 + self.below(8)),
            12 => format!("try_cast(id as smallint) >= {id}"),
            _ => format!("coalesce(id, 7) = {id}"),
        }
    }
}
