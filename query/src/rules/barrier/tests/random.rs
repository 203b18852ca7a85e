//! Statements out of a small grammar, each answered as by a table that holds our rows only.

use super::*;

/// Numbers that are the same at each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % count
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn number(&mut self, table: &str, depth: usize) -> String {
        match self.below(if depth == 0 { 4 } else { 10 }) {
            0 => format!("{table}.id"),
            1 => format!("{table}.balance"),
            2 => format!("{table}.lender_no"),
            3 => self.below(20).to_string(),
            4 => {
                let op = self.one(&["+", "-", "*", "/", "%"]);
                format!(
                    "({} {op} {})",
                    self.number(table, depth - 1),
                    self.number(table, depth - 1)
                )
            }
            5 => format!("cast({} as bigint)", self.text(table, depth - 1)),
            6 => format!("length({})", self.text(table, depth - 1)),
            7 => {
                let (test, a) = (self.test(table, depth - 1), self.number(table, depth - 1));
                format!("case when {test} then {a} else {} end", self.number(table, depth - 1))
            }
            8 => format!("cast({table}.amount as decimal(6,2))"),
            _ => format!("coalesce({}, 1)", self.number(table, depth - 1)),
        }
    }

    fn text(&mut self, table: &str, depth: usize) -> String {
        match self.below(if depth == 0 { 4 } else { 7 }) {
            0 => format!("{table}.lender"),
            1 => format!("{table}.lender_view"),
            2 => format!("{table}.borrower"),
            3 => self.one(&["'17'", "'18'", "''", "'secret 6'", "'4'"]).to_owned(),
            4 => {
                format!("concat({}, {})", self.text(table, depth - 1), self.text(table, depth - 1))
            }
            5 => format!("cast({} as varchar)", self.number(table, depth - 1)),
            _ => format!("substr({}, {})", self.text(table, depth - 1), 1 + self.below(3)),
        }
    }

    fn test(&mut self, table: &str, depth: usize) -> String {
        let op = self.one(&["=", "<>", "<", ">", "<=", ">="]);
        match self.below(if depth == 0 { 3 } else { 8 }) {
            0 => format!("{} {op} {}", self.number(table, depth), self.number(table, 0)),
            1 => format!("{} {op} {}", self.text(table, depth), self.text(table, 0)),
            2 => format!("{table}.late is {}", self.one(&["null", "not null", "true", "false"])),
            3 => format!("({} and {})", self.test(table, depth - 1), self.test(table, depth - 1)),
            4 => format!("({} or {})", self.test(table, depth - 1), self.test(table, depth - 1)),
            5 => format!("not ({})", self.test(table, depth - 1)),
            6 => format!(
                "{} like {}",
                self.text(table, depth - 1),
                self.one(&["'%7'", "'s%'", "'_'"])
            ),
            _ => {
                let inner = self.test("w", depth - 1);
                format!("{} in (select w.id from u as w where {inner})", self.number(table, 0))
            }
        }
    }

    fn statement(&mut self) -> String {
        let test = self.test("t", 2);
        let limit = match self.below(4) {
            0 => format!(" limit {}", self.below(6)),
            _ => String::new(),
        };
        match self.below(8) {
            0 => format!(
                "select t.id, {} from t where {test} order by 1, 2{limit}",
                self.number("t", 2)
            ),
            1 => format!("select count(*), min({}) from t where {test}", self.number("t", 1)),
            2 => {
                let key = self.text("t", 1);
                format!(
                    "select {key}, sum({}) from t where {test} group by 1 order by 1, 2{limit}",
                    self.number("t", 1)
                )
            }
            3 => {
                let kind = self.one(&["join", "left join", "full join"]);
                let (a, b) = (self.number("t", 1), self.number("u", 1));
                format!(
                    "select t.id, u.id from t {kind} u on {a} = {b} where {test} \
                     order by 1, 2{limit}"
                )
            }
            4 => format!(
                "select t.id from t where {test} union select {} from u order by 1{limit}",
                self.number("u", 1)
            ),
            5 => format!(
                "with c as (select t.id, {} as x from t) select count(*), max(x) from c where x > \
                 {}",
                self.number("t", 2),
                self.below(9)
            ),
            6 => format!(
                "select t.id, rank() over (order by {}, t.id) from t where {test} \
                 order by 1{limit}",
                self.number("t", 1)
            ),
            _ => format!(
                "select distinct {} from t where {test} order by 1{limit}",
                self.text("t", 2)
            ),
        }
    }
}

async fn compare(all: Arc<dyn TableProvider>, batches: &[RecordBatch], count: usize, seed: u64) {
    let ours = memory(our_batches(batches));
    let [all, ours] = [all, ours].map(|table| with(&guarded_by(table, rule("lender")), 1, true));
    let mut dice = Dice(seed);
    let (mut answered, mut failed) = (0, 0);
    for _ in 0..count {
        let sql = dice.statement();
        let found = answer(&all, &sql).await;
        assert_eq!(found, answer(&ours, &sql).await, "seed {seed}: {sql}");
        match found {
            Ok(text) => {
                assert!(!text.contains("secret ") || sql.contains("secret"), "{sql}: {text}");
                answered += 1;
            }
            Err(error) => {
                assert!(!error.contains("secret ") || sql.contains("secret"), "{sql}: {error}");
                failed += 1;
            }
        }
    }
    assert!(answered > count / 4 && failed > count / 50, "{answered} answered, {failed} failed");
}

/// How many statements: more with `RULES_STATEMENTS`.
fn count() -> usize {
    std::env::var("RULES_STATEMENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(150)
}

#[test]
fn statements_over_rows_in_memory() {
    let batches = all_batches(120);
    runtime().block_on(compare(memory(batches.clone()), &batches, count(), 42));
}

#[test]
fn statements_over_rows_in_files() {
    let batches = all_batches(120);
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let all = parquet(folder.path(), &batches).await;
        compare(all, &batches, count(), 7).await;
    });
}
