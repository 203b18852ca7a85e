//! Changes of steps.

use super::{Case, Expected, SETUP, Setup};
use Expected::{GoesOn, Refused, Taken};

const BY_WINDOW: &str = "k, window, window_end";

fn steps(steps: &'static str) -> Setup {
    Setup { steps, ..SETUP }
}

fn to(steps: &'static str, to: &'static str) -> Setup {
    Setup { steps, to, ..SETUP }
}

fn case(
    name: &'static str,
    key: &'static str,
    before: Setup,
    after: Setup,
    expected: Expected,
) -> Case {
    Case { name, before, after, key, expected }
}

/// Totals per key and ten minutes.
const SUMS: &str = concat!(
    r#"{ id = "sums", aggregate = { a = "sum(amount)", b = "sum(fee)" }, by = ["k"], "#,
    r#"windows = ["10m"] }"#
);
/// Columns of the totals that no change takes away.
const SUMS_TO: &str = concat!(
    r#"{ id = "out", kind = "delta", table = "out", columns = ["k", "window", "#,
    r#""window_start", "window_end", "a", "revision"] }"#
);
const TEN_MINUTES: &str =
    r#"{ id = "out", kind = "delta", table = "out", when = "\"window\" = '10m'" }"#;
/// Features of each row.
const SPENT: &str = concat!(
    r#"{ id = "spent", features = { n_tx = "count(*)", spent = "sum(amount)" }, "#,
    r#"by = "k", over = ["10m", "30m"] }"#
);
const SPENT_TO: &str =
    r#"{ id = "out", kind = "delta", table = "out", columns = ["id", "at", "k", "spent_30m"] }"#;

pub(super) fn cases() -> Vec<Case> {
    [aggregates(), features(), upstream(), others()].concat()
}

fn aggregates() -> Vec<Case> {
    let refused = |name, after, says: &'static [&'static str]| {
        case(name, BY_WINDOW, steps(SUMS), after, Refused(says))
    };
    vec![
        case("the same file", BY_WINDOW, steps(SUMS), steps(SUMS), GoesOn),
        case(
            "aggregates in another order",
            BY_WINDOW,
            steps(SUMS),
            steps(concat!(
                r#"{ id = "sums", aggregate = { b = "sum(fee)", a = "sum(amount)" }, "#,
                r#"by = ["k"], windows = ["10m"] }"#
            )),
            GoesOn,
        ),
        refused(
            "two names are swapped",
            steps(concat!(
                r#"{ id = "sums", aggregate = { b = "sum(amount)", a = "sum(fee)" }, "#,
                r#"by = ["k"], windows = ["10m"] }"#
            )),
            &[
                "aggregate `a`: was sum(amount), is sum(fee)",
                "pipelines.toml:",
                "put the old value back",
            ],
        ),
        refused(
            "another function under the same name",
            steps(concat!(
                r#"{ id = "sums", aggregate = { a = "avg(amount)", b = "sum(fee)" }, "#,
                r#"by = ["k"], windows = ["10m"] }"#
            )),
            &["aggregate `a`: was sum(amount), is avg(amount)"],
        ),
        refused(
            "another key",
            steps(concat!(
                r#"{ id = "sums", aggregate = { a = "sum(amount)", b = "sum(fee)" }, "#,
                r#"by = ["g"], windows = ["10m"] }"#
            )),
            &[
                "by: was k Utf8, is g Utf8",
                "riskstream state drop p sums",
                "riskstream run --fresh p",
                "another id",
            ],
        ),
        refused(
            "another scale",
            Setup {
                schema: concat!(
                    r#"id = "int64", at = "timestamp", k = "string", g = "string", "#,
                    r#"amount = "decimal(14,4)", fee = "decimal(12,2)", n = "int64""#
                ),
                ..steps(SUMS)
            },
            &["column `amount`: was Decimal128(12, 2), is Decimal128(14, 4)"],
        ),
        case(
            "an aggregate is left out",
            BY_WINDOW,
            to(SUMS, SUMS_TO),
            to(
                concat!(
                    r#"{ id = "sums", aggregate = { a = "sum(amount)" }, by = ["k"], "#,
                    r#"windows = ["10m"] }"#
                ),
                SUMS_TO,
            ),
            GoesOn,
        ),
        case(
            "an aggregate that the state holds already: a mean of what is summed",
            BY_WINDOW,
            steps(SUMS),
            steps(concat!(
                r#"{ id = "sums", aggregate = { a = "sum(amount)", "#,
                r#"m = "avg(amount)", b = "sum(fee)" }, by = ["k"], "#,
                r#"windows = ["10m"] }"#
            )),
            // Windows that were published before are not published again.
            Taken { unknown: &["m"], complete: "window_start >= '2024-03-01T02:00:00Z'" },
        ),
        case(
            "a further aggregate is known in windows that begin after it was added",
            BY_WINDOW,
            steps(SUMS),
            steps(concat!(
                r#"{ id = "sums", aggregate = { c = "sum(n)", x = "count(n)", "#,
                r#"a = "sum(amount)", b = "sum(fee)" }, by = ["k"], "#,
                r#"windows = ["10m"] }"#
            )),
            Taken { unknown: &["c", "x"], complete: "window_start >= '2024-03-01T02:00:00Z'" },
        ),
        case(
            "further windows are said where they begin after they were added",
            BY_WINDOW,
            steps(SUMS),
            steps(concat!(
                r#"{ id = "sums", aggregate = { a = "sum(amount)", b = "sum(fee)" }, "#,
                r#"by = ["k"], windows = ["45m", "10m", "1h by 15m"] }"#
            )),
            Taken {
                unknown: &[],
                complete: "\"window\" = '10m' or window_start >= '2024-03-01T02:00:00Z'",
            },
        ),
        case(
            "windows are left out",
            BY_WINDOW,
            to(
                concat!(
                    r#"{ id = "sums", aggregate = { a = "sum(amount)" }, by = ["k"], "#,
                    r#"windows = ["45m", "10m"] }"#
                ),
                TEN_MINUTES,
            ),
            to(
                concat!(
                    r#"{ id = "sums", aggregate = { a = "sum(amount)" }, by = ["k"], "#,
                    r#"windows = ["10m"] }"#
                ),
                TEN_MINUTES,
            ),
            GoesOn,
        ),
        case(
            "windows from the beginning of time count from when they were added, and leave the \
             others alone",
            BY_WINDOW,
            to(SUMS, TEN_MINUTES),
            to(
                concat!(
                    r#"{ id = "sums", aggregate = { a = "sum(amount)", b = "sum(fee)" }, "#,
                    r#"by = ["k"], windows = ["10m", "always by 1h"] }"#
                ),
                TEN_MINUTES,
            ),
            GoesOn,
        ),
        case(
            "an aggregate of all of time can't begin later",
            BY_WINDOW,
            steps(concat!(
                r#"{ id = "sums", aggregate = { a = "sum(amount)" }, by = ["k"], "#,
                r#"windows = ["always by 1h"] }"#
            )),
            steps(concat!(
                r#"{ id = "sums", aggregate = { a = "sum(amount)", b = "sum(fee)" }, "#,
                r#"by = ["k"], windows = ["always by 1h"] }"#
            )),
            Refused(&["aggregate `b`: is sum(fee), was not there"]),
        ),
        case(
            "sessions and a further aggregate of them",
            "k, g, window_start",
            steps(concat!(
                r#"{ id = "sums", aggregate = { rows = "count(*)", "#,
                r#"a = "sum(amount)" }, by = ["k", "g"], windows = ["session 4m"] }"#
            )),
            steps(concat!(
                r#"{ id = "sums", aggregate = { b = "max(fee)", a = "sum(amount)", "#,
                r#"rows = "count(*)" }, by = ["k", "g"], windows = ["session 4m"] }"#
            )),
            Taken { unknown: &["b"], complete: "window_start >= '2024-03-01T02:00:00Z'" },
        ),
        case(
            "late rows are waited for longer",
            BY_WINDOW,
            steps(SUMS),
            steps(concat!(
                r#"{ id = "sums", aggregate = { a = "sum(amount)", b = "sum(fee)" }, "#,
                r#"by = ["k"], windows = ["10m"], keep = "30d" }"#
            )),
            GoesOn,
        ),
        case(
            "a further aggregate whose shares are kept",
            BY_WINDOW,
            steps(concat!(
                r#"{ id = "sums", aggregate = { a = "sum(amount)" }, by = ["k"], "#,
                r#"windows = ["10m"] }, "#,
                r#"{ id = "parts", shares = { part = "share(a)" } }"#
            )),
            steps(concat!(
                r#"{ id = "sums", aggregate = { a = "sum(amount)", b = "sum(fee)" }, "#,
                r#"by = ["k"], windows = ["10m"] }, "#,
                r#"{ id = "parts", shares = { part = "share(a)" } }"#
            )),
            Refused(&["the saved state of the step `parts`", "columns: was"]),
        ),
    ]
}

fn features() -> Vec<Case> {
    let refused = |name, after, says: &'static [&'static str]| {
        case(name, "id", steps(SPENT), steps(after), Refused(says))
    };
    vec![
        case(
            "features and windows in another order",
            "id",
            steps(SPENT),
            steps(concat!(
                r#"{ id = "spent", features = { spent = "sum(amount)", "#,
                r#"n_tx = "count(*)" }, by = "k", over = ["30m", "10m"] }"#
            )),
            GoesOn,
        ),
        refused(
            "features by another key",
            concat!(
                r#"{ id = "spent", features = { n_tx = "count(*)", "#,
                r#"spent = "sum(amount)" }, by = "g", over = ["10m", "30m"] }"#
            ),
            &["by: was k Utf8, is g Utf8"],
        ),
        refused(
            "features with a delay",
            concat!(
                r#"{ id = "spent", features = { n_tx = "count(*)", "#,
                r#"spent = "sum(amount)" }, by = "k", over = ["10m", "30m"], "#,
                r#"delay = "5m" }"#
            ),
            &["delay: was 0 s, is 300 s"],
        ),
        refused(
            "a feature of another column under the same name",
            concat!(
                r#"{ id = "spent", features = { n_tx = "count(*)", spent = "sum(fee)" }, "#,
                r#"by = "k", over = ["10m", "30m"] }"#
            ),
            &["feature `spent_10m`: was sum(amount) over 600 s, is sum(fee) over 600 s"],
        ),
        refused(
            "features without the row itself",
            concat!(
                r#"{ id = "spent", features = { n_tx = "count(*)", "#,
                r#"spent = "sum(amount)" }, by = "k", over = ["10m", "30m"], "#,
                "include_current = false }"
            ),
            &["include_current: was true, is false"],
        ),
        case(
            "rows of equal times in another order",
            "id",
            steps(SPENT),
            Setup {
                event_time: r#"column = "at", out_of_orderness = "0s", ties_by = ["n", "id"]"#,
                ..steps(SPENT)
            },
            Refused(&["ties: was id, ", "is n, id, "]),
        ),
        case(
            "features as rows arrive",
            "id",
            steps(SPENT),
            Setup { pipeline: "order = \"arrival\"", ..steps(SPENT) },
            Refused(&["order: was event-time, is arrival"]),
        ),
        case(
            "a further step with state",
            "id",
            steps(SPENT),
            steps(concat!(
                r#"{ id = "spent", features = { n_tx = "count(*)", "#,
                r#"spent = "sum(amount)" }, by = "k", over = ["10m", "30m"] }, "#,
                r#"{ id = "more", features = { of_g = "max(fee)" }, by = "g", "#,
                r#"over = ["10m"] }"#
            )),
            Taken { unknown: &["of_g_10m"], complete: "id >= 129" },
        ),
        case(
            "columns of the source in another order, and a further one",
            "id",
            Setup {
                schema: concat!(
                    r#"id = "int64", at = "timestamp", k = "string", g = "string", "#,
                    r#"amount = "decimal(12,2)", fee = "decimal(12,2)""#
                ),
                ..steps(SPENT)
            },
            Setup {
                schema: concat!(
                    r#"n = "int64", fee = "decimal(12,2)", id = "int64", "#,
                    r#"at = "timestamp", k = "string", g = "string", "#,
                    r#"amount = "decimal(12,2)""#
                ),
                ..steps(SPENT)
            },
            Taken { unknown: &["n"], complete: "id >= 120" },
        ),
        case(
            "features and a window are left out",
            "id",
            to(SPENT, SPENT_TO),
            to(
                concat!(
                    r#"{ id = "spent", features = { spent = "sum(amount)" }, by = "k", "#,
                    r#"over = ["30m"] }"#
                ),
                SPENT_TO,
            ),
            GoesOn,
        ),
        case(
            "a further window is made of the history",
            "id",
            steps(SPENT),
            steps(concat!(
                r#"{ id = "spent", features = { n_tx = "count(*)", "#,
                r#"spent = "sum(amount)" }, by = "k", over = ["10m", "30m", "90m"] }"#
            )),
            Taken { unknown: &["n_tx_90m", "spent_90m"], complete: "id >= 120" },
        ),
        case(
            "further features of a column that the history holds",
            "id",
            steps(SPENT),
            steps(concat!(
                r#"{ id = "spent", features = { top = "max(amount)", "#,
                r#"n_tx = "count(*)", spent = "sum(amount)", mean = "avg(amount)", "#,
                r#"since = "seconds_since_last()" }, by = "k", "#,
                r#"over = ["10m", "30m"] }"#
            )),
            Taken {
                unknown: &["top_10m", "top_30m", "mean_10m", "mean_30m", "since"],
                complete: "id >= 120",
            },
        ),
        case(
            "a feature of a further column is known once its window is covered",
            "id",
            steps(SPENT),
            steps(concat!(
                r#"{ id = "spent", features = { fees = "sum(fee)", "#,
                r#"different = "count(distinct g)", n_tx = "count(*)", "#,
                r#"spent = "sum(amount)" }, by = "k", over = ["10m", "30m"] }"#
            )),
            Taken {
                unknown: &["fees_10m", "fees_30m", "different_10m", "different_30m"],
                complete: "id >= 149",
            },
        ),
        case(
            "features as rows arrive, with a further one",
            "id",
            Setup { pipeline: "order = \"arrival\"", ..steps(SPENT) },
            Setup {
                pipeline: "order = \"arrival\"",
                ..steps(concat!(
                    r#"{ id = "spent", features = { fees = "sum(fee)", "#,
                    r#"n_tx = "count(*)", spent = "sum(amount)" }, by = "k", "#,
                    r#"over = ["30m", "10m"] }"#
                ))
            },
            Taken { unknown: &["fees_10m", "fees_30m"], complete: "id >= 149" },
        ),
    ]
}

fn upstream() -> Vec<Case> {
    const DERIVED: &str = concat!(
        r#"{ id = "d", derive = { net = "amount - fee", twice = "amount * 2" } }, "#,
        r#"{ id = "sums", aggregate = { a = "sum(net)" }, by = ["k"], "#,
        r#"windows = ["10m"] }"#
    );
    const FILTERED: &str = concat!(
        r#"{ id = "f", filter = "n > 2" }, { id = "e", filter = "n < 15" }, "#,
        r#"{ id = "sums", aggregate = { a = "sum(amount)" }, by = ["k"], "#,
        r#"windows = ["10m"] }"#
    );
    let derived =
        |name, after, expected| case(name, BY_WINDOW, steps(DERIVED), steps(after), expected);
    let filtered =
        |name, after, expected| case(name, BY_WINDOW, steps(FILTERED), steps(after), expected);
    vec![
        derived(
            "an expression is written otherwise, and steps without state are renamed, put together \
             and taken apart",
            concat!(
                r#"{ id = "other", derive = { net = "amount  -  fee -- in all" } }, "#,
                r#"{ id = "more", derive = { twice = "amount * 2" } }, "#,
                r#"{ id = "sums", aggregate = { a = "sum(net)" }, by = ["k"], "#,
                r#"windows = ["10m"] }"#
            ),
            GoesOn,
        ),
        derived(
            "an expression that the step does not read",
            concat!(
                r#"{ id = "d", derive = { net = "amount - fee", "#,
                r#"twice = "amount * 3" } }, "#,
                r#"{ id = "sums", aggregate = { a = "sum(net)" }, by = ["k"], "#,
                r#"windows = ["10m"] }"#
            ),
            GoesOn,
        ),
        derived(
            "an expression that the step reads",
            concat!(
                r#"{ id = "d", derive = { net = "amount - 2 * fee" } }, "#,
                r#"{ id = "sums", aggregate = { a = "sum(net)" }, by = ["k"], "#,
                r#"windows = ["10m"] }"#
            ),
            Refused(&["column `net`: was amount - fee", "is amount - 2 * fee"]),
        ),
        filtered(
            "filters in another order",
            concat!(
                r#"{ id = "e", filter = "n<15" }, { id = "f", filter = "n > 2" }, "#,
                r#"{ id = "sums", aggregate = { a = "sum(amount)" }, by = ["k"], "#,
                r#"windows = ["10m"] }"#
            ),
            GoesOn,
        ),
        filtered(
            "another filter",
            concat!(
                r#"{ id = "f", filter = "n > 3" }, { id = "e", filter = "n < 15" }, "#,
                r#"{ id = "sums", aggregate = { a = "sum(amount)" }, by = ["k"], "#,
                r#"windows = ["10m"] }"#
            ),
            Refused(&["rows where: was (n < 15) and (n > 2), is (n < 15) and (n > 3)"]),
        ),
        case(
            "a check of the source",
            BY_WINDOW,
            steps(SUMS),
            Setup { source: "checks = [\"n > 2\"]", ..steps(SUMS) },
            Refused(&["rows where: is (n > 2) is not false, was not there"]),
        ),
        case(
            "another event time",
            BY_WINDOW,
            steps(SUMS),
            Setup {
                event_time: r#"column = "moment", out_of_orderness = "0s""#,
                schema: concat!(
                    r#"id = "int64", moment = "timestamp", k = "string", g = "string", "#,
                    r#"amount = "decimal(12,2)", fee = "decimal(12,2)", n = "int64""#
                ),
                ..steps(SUMS)
            },
            Refused(&["event time: was at, is moment"]),
        ),
        case(
            "another mark in numbers",
            BY_WINDOW,
            steps(SUMS),
            Setup { source: "thousands_mark = \",\"", ..steps(SUMS) },
            Refused(&["column `amount`", "with the decimal mark '.' and \",\""]),
        ),
        case(
            "another encoding of the text of a key",
            BY_WINDOW,
            steps(SUMS),
            Setup { source: "encoding = \"latin1\"", ..steps(SUMS) },
            Refused(&["column `k`", "encoded as windows-1252"]),
        ),
        case(
            "a column is read from another one",
            BY_WINDOW,
            steps(SUMS),
            Setup {
                schema: concat!(
                    r#"id = "int64", at = "timestamp", k = "string", g = "string", "#,
                    r#"amount = { type = "decimal(12,2)", from = "fee" }, "#,
                    r#"fee = { type = "decimal(12,2)", from = "amount" }, n = "int64""#
                ),
                ..steps(SUMS)
            },
            Refused(&["column `amount`", "read from fee"]),
        ),
        case(
            "the event time is of a place",
            BY_WINDOW,
            steps(SUMS),
            Setup {
                event_time: concat!(
                    r#"column = "at", out_of_orderness = "0s", ties_by = ["id"], "#,
                    r#"zone = "Europe/Berlin""#
                ),
                ..steps(SUMS)
            },
            Refused(&["column `at`", "in the time of Europe/Berlin"]),
        ),
        case(
            "how files are found to be what they are",
            BY_WINDOW,
            steps(SUMS),
            Setup {
                source: "csv = { escape = \"\\\\\", skip_lines = \"to-header\" }\n\
                         missing_columns = \"null\"\ntrue_words = \"y\"\nfalse_words = \"n\"",
                ..steps(SUMS)
            },
            GoesOn,
        ),
        case(
            "late rows are given up",
            BY_WINDOW,
            steps(SUMS),
            Setup { pipeline: "late = \"dead-letter\"", ..steps(SUMS) },
            Refused(&["late rows: was applied, is dead letters"]),
        ),
    ]
}

fn others() -> Vec<Case> {
    vec![
        case(
            "a step with state is renamed",
            BY_WINDOW,
            steps(SUMS),
            steps(concat!(
                r#"{ id = "totals", aggregate = { a = "sum(amount)", "#,
                r#"b = "sum(fee)" }, by = ["k"], windows = ["10m"] }"#
            )),
            Refused(&["holds state of the step `sums`", "riskstream state rename p sums totals"]),
        ),
        case(
            "a step with state becomes another",
            BY_WINDOW,
            steps(SUMS),
            to(
                r#"{ id = "sums", features = { a = "sum(amount)" }, by = "k", over = ["10m"] }"#,
                r#"{ id = "other", kind = "delta", table = "other" }"#,
            ),
            Refused(&["the kind of step: was aggregate, is features"]),
        ),
        case(
            "rows beside those before, by another key",
            "id",
            to(
                r#"{ id = "before", previous = { was = "amount" }, by = ["k"] }"#,
                concat!(
                    r#"{ id = "out", kind = "delta", table = "out", when = "_diff > 0", "#,
                    r#"columns = ["id", "at", "k", "was"] }"#
                ),
            ),
            to(
                r#"{ id = "before", previous = { was = "amount" }, by = ["g"] }"#,
                concat!(
                    r#"{ id = "out", kind = "delta", table = "out", when = "_diff > 0", "#,
                    r#"columns = ["id", "at", "k", "was"] }"#
                ),
            ),
            Refused(&["by: was k, is g"]),
        ),
        case(
            "a changelog of other columns",
            "k, at, id, _diff",
            steps(r#"{ id = "changes", changelog = { key = ["k"], columns = ["id", "amount"] } }"#),
            steps(r#"{ id = "changes", changelog = { key = ["k"], columns = ["id", "fee"] } }"#),
            Refused(&["columns: was"]),
        ),
        case(
            "a changelog goes on",
            "k, at, id, _diff",
            steps(r#"{ id = "changes", changelog = { key = ["k"], columns = ["id", "amount"] } }"#),
            steps(r#"{ id = "changes", changelog = { key = ["k"], columns = ["amount", "id"] } }"#),
            GoesOn,
        ),
    ]
}
