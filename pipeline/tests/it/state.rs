//! `riskstream state`, and `run --fresh`: stored state listed, dropped and renamed between two
//! runs.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{Said, riskstream, run_as_planned};

/// Rows in two halves, and steps with state of two kinds, one of which keeps files.
pub(crate) const BOOK: &str = r#"
[riskstream]
epoch = { rows = 40 }

[sources.s]
kind       = "file"
path       = "in/*.csv"
schema     = { id = "int64", at = "timestamp", who = "string", amount = "decimal(12,2)" }
event_time = { column = "at", out_of_orderness = "1h", ties_by = ["id"] }

[pipelines.p]
from = "s"

[[pipelines.p.steps]]
id       = "spending"
features = { nb = "count(*)", total = "sum(amount)" }
by       = "who"
over     = ["30d"]

[[pipelines.p.steps]]
id       = "before"
previous = { last_amount = "amount" }
by       = "who"
keep     = "1d"

[[pipelines.p.to]]
id    = "all"
kind  = "delta"
table = "seen"

[[pipelines.p.to]]
id    = "large"
kind  = "alerts"
when  = "amount > 90"
"#;

/// Writes one of two halves of 300 rows, in which one record is broken.
pub(crate) fn half(here: &Path, number: i64) {
    let rows: String = (number * 150..(number + 1) * 150)
        .map(|id| {
            let (day, hour) = (1 + id / 24, id % 24);
            if id % 150 == 77 {
                return format!("{id},not a time,w1,1.00\n");
            }
            format!(
                "{id},2024-01-{day:02}T{hour:02}:00:00Z,w{},{}.50\n",
                id * 7 % 11,
                id * 37 % 100
            )
        })
        .collect();
    fs::create_dir_all(here.join("in")).unwrap();
    fs::write(here.join(format!("in/{number}.csv")), format!("id,at,who,amount\n{rows}")).unwrap();
}

pub(crate) fn configured(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pipelines.toml"), text).unwrap();
    half(folder.path(), 0);
    folder
}

pub(crate) fn reconfigure(here: &Path, change: impl Fn(&str) -> String) {
    let path = here.join("pipelines.toml");
    let text = fs::read_to_string(&path).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed, "nothing was changed");
    fs::write(path, changed).unwrap();
}

fn rows(here: &Path, sql: &str) -> Vec<Value> {
    riskstream(here, &["query", sql, "--format", "json"]).rows()
}

pub(crate) fn count(here: &Path, table: &str) -> i64 {
    rows(here, &format!("select count(*) as n from {table}"))[0]["n"].as_i64().unwrap()
}

/// The rows of one run of a configuration over all input, in a new folder.
fn of_one_run(text: &str, sql: &str) -> Vec<Value> {
    let folder = configured(text);
    half(folder.path(), 1);
    riskstream(folder.path(), &["run"]).ok();
    rows(folder.path(), sql)
}

fn state(here: &Path, args: &[&str]) -> Said {
    riskstream(here, &[&["state"], args].concat())
}

const SEEN: &str = "select id, last_amount, nb_30d, total_30d from seen order by id";

#[test]
fn the_list_shows_every_steps_state_and_what_the_configuration_no_longer_has() {
    let folder = configured(BOOK);
    let here = folder.path();
    assert!(state(here, &["list"]).ok().contains("nothing is stored in data yet"));
    run_as_planned(here, &[]).ok();
    let listed = state(here, &["list", "--format", "json"]).json();
    let pipeline = &listed["pipelines"][0];
    assert_eq!(
        (&pipeline["pipeline"], &pipeline["in_configuration"], &pipeline["running"]),
        (&"p".into(), &true.into(), &false.into())
    );
    let steps: Vec<(&str, &str)> = pipeline["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["step"].as_str().unwrap(), s["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(steps, [("before", "previous"), ("spending", "features")]);
    assert!(
        pipeline["steps"].as_array().unwrap().iter().all(|s| s["bytes"].as_u64() > Some(0)),
        "{listed:#}"
    );
    assert_eq!(pipeline["undelivered"].as_array().unwrap().len(), 0);

    reconfigure(here, |text| text.replace("\"spending\"", "\"habits\""));
    let page = state(here, &["list"]).ok();
    let line = page.lines().find(|line| line.contains("spending")).unwrap();
    assert!(
        line.ends_with("NOT IN THE CONFIGURATION") && page.contains("pipeline p: committed epoch "),
        "{page}"
    );
}

#[test]
fn a_step_that_is_gone_is_refused_with_the_commands_and_the_likely_name() {
    let folder = configured(BOOK);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    reconfigure(here, |text| text.replace("\"spending\"", "\"spendings\""));
    let said = run_as_planned(here, &[]).refused(2);
    assert!(said.contains("riskstream state rename p spending spendings"), "{said}");
    assert!(said.contains("riskstream state drop p spending"), "{said}");
}

#[test]
fn a_renamed_step_goes_on_as_if_it_had_always_had_that_id() {
    let folder = configured(BOOK);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    let renamed =
        |text: &str| text.replace("\"spending\"", "\"habits\"").replace("\"before\"", "\"ahead\"");
    let wrong = state(here, &["rename", "p", "spending", "habits", "--yes"]).refused(2);
    assert!(wrong.contains("no step `habits` in the configuration"), "{wrong}");
    reconfigure(here, renamed);
    let asked = state(here, &["rename", "p", "spending", "habits"]).refused(2);
    assert!(
        asked.contains("`habits` goes on with what `spending` has seen") && asked.contains("--yes"),
        "{asked}"
    );
    assert!(
        state(here, &["rename", "p", "spendin", "habits", "--yes"])
            .refused(2)
            .contains("did you mean `spending`?")
    );
    assert!(
        state(here, &["rename", "p", "spending", "before", "--yes"])
            .refused(2)
            .contains("state drop p before")
    );
    state(here, &["rename", "p", "spending", "habits", "--yes"]).ok();
    state(here, &["rename", "p", "before", "ahead", "--yes"]).ok();
    half(here, 1);
    run_as_planned(here, &[]).ok();
    assert_eq!(rows(here, SEEN), of_one_run(&renamed(BOOK), SEEN));
}

#[test]
fn a_dropped_step_begins_empty_or_leaves_and_the_others_go_on() {
    // Columns that are there with and without the steps.
    let columns = "columns = [\"id\", \"at\", \"who\", \"amount\", \"nb_30d\", \"last_amount\"]\n";
    let book =
        BOOK.replace("table = \"seen\"\n", &format!("table = \"seen\"\n{columns}")) + columns;
    let folder = configured(&book);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    let asked = state(here, &["drop", "p", "spending"]).refused(2);
    assert!(
        asked.contains("begins empty with the next run")
            && asked.contains("nothing was changed; say --yes"),
        "{asked}"
    );
    let whole = riskstream(here, &["status", "--format", "json"]).json();
    state(here, &["drop", "p", "spending", "--yes"]).ok();
    let after = riskstream(here, &["status", "--format", "json"]).json();
    assert_eq!(after["pipelines"][0]["partitions"], whole["pipelines"][0]["partitions"]);
    half(here, 1);
    run_as_planned(here, &[]).ok();
    let second = "select id, last_amount, nb_30d from seen where id >= 150 order by id";
    let (found, expected) = (rows(here, second), of_one_run(&book, second));
    assert!(
        found.iter().zip(&expected).all(|(f, e)| f["last_amount"] == e["last_amount"]),
        "the other step goes on"
    );
    assert!(
        found.iter().all(|f| f["nb_30d"].is_null()),
        "this one has not seen 30 days yet: nothing that it says could be true"
    );
    assert!(expected[0]["nb_30d"].as_i64() > Some(5));

    // Without the step in the file its state is in the way until it is dropped.
    let step = "[[pipelines.p.steps]]\nid       = \"before\"\n\
                previous = { last_amount = \"amount\" }\nby       = \"who\"\nkeep     = \"1d\"\n";
    let plain =
        "[[pipelines.p.steps]]\nid     = \"plain\"\nderive = { last_amount = \"amount\" }\n";
    reconfigure(here, |text| text.replace(step, plain));
    assert!(run_as_planned(here, &[]).refused(2).contains("riskstream state drop p before"));
    assert!(state(here, &["drop", "p", "before"]).refused(2).contains("goes on without it"));
    state(here, &["drop", "p", "before", "--yes"]).ok();
    run_as_planned(here, &[]).ok();
}

#[test]
fn a_pipeline_that_begins_anew_fills_emptied_tables_once_and_kept_ones_twice() {
    for (tables, times) in [("empty", 1), ("keep", 2)] {
        let folder = configured(BOOK);
        let here = folder.path();
        run_as_planned(here, &[]).ok();
        let (seen, alerts) = (count(here, "seen"), count(here, "alerts"));
        assert!(seen == 149 && alerts > 5 && count(here, "dead_letters") == 1);

        let asked = riskstream(here, &["run", "--fresh", "p"]).refused(2);
        assert!(asked.contains("--tables empty") && asked.contains("--tables keep"), "{asked}");
        let asked = riskstream(here, &["run", "--fresh", "p", "--tables", tables]).refused(2);
        assert!(asked.contains("the state of before, spending is dropped"), "{asked}");
        let table = if tables == "empty" {
            "table seen is emptied of its 149 rows"
        } else {
            "table seen keeps its 149 rows"
        };
        assert!(asked.contains(table), "{asked}");
        assert_eq!(count(here, "seen"), seen, "nothing was changed");

        let fresh = ["run", "--fresh", "p", "--tables", tables, "--yes", "--format", "json"];
        let said: Value = serde_json::from_str(&riskstream(here, &fresh).ok()).unwrap();
        assert_eq!(said["pipelines"][0]["rows_in"], 149);
        assert_eq!(
            (count(here, "seen"), count(here, "alerts"), count(here, "dead_letters")),
            (times * seen, times * alerts, times)
        );
        // It goes on as any other.
        half(here, 1);
        run_as_planned(here, &["--workers", "3"]).ok();
        let distinct = "select distinct id, last_amount, nb_30d, total_30d from seen order by id";
        assert_eq!(rows(here, distinct), of_one_run(BOOK, SEEN));
        assert_eq!(count(here, "seen"), times * seen + 149);
        run_as_planned(here, &[]).ok();
        assert_eq!(count(here, "seen"), times * seen + 149, "nothing comes again");
    }
}

#[test]
fn dead_letters_of_other_pipelines_stay_when_one_begins_anew() {
    let text = format!(
        "{BOOK}\n[pipelines.q]\nfrom = \"s\"\n\n[[pipelines.q.to]]\nid    = \"all\"\n\
         kind  = \"delta\"\ntable = \"other\"\n"
    );
    let folder = configured(&text);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    // One file with the rows of both.
    let maintained = riskstream(here, &["maintain", "--table", "dead_letters"]).ok();
    assert!(maintained.contains("dead_letters"), "{maintained}");
    riskstream(here, &["state", "drop", "p", "--tables", "empty", "--yes"]).ok();
    assert_eq!(
        (count(here, "seen"), count(here, "dead_letters")),
        (0, 1),
        "what is committed is seen at once, though the next run empties the tables"
    );
    riskstream(here, &["run", "--only", "p"]).ok();
    let letters = rows(
        here,
        "select pipeline, count(*) as n from dead_letters group by pipeline order by pipeline",
    );
    assert_eq!(
        letters
            .iter()
            .map(|r| (r["pipeline"].as_str().unwrap(), r["n"].as_i64().unwrap()))
            .collect::<Vec<_>>(),
        [("p", 1), ("q", 1)]
    );
    assert_eq!((count(here, "seen"), count(here, "other")), (149, 149));
}

#[test]
fn a_renamed_pipeline_goes_on_into_its_tables_without_a_row_twice() {
    let alerts = "select alert_id, id from alerts order by id";
    let folder = configured(BOOK);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    assert!(
        state(here, &["rename", "p", "cards", "--yes"]).refused(2).contains("no pipeline `cards`")
    );
    let renamed = |text: &str| text.replace("pipelines.p", "pipelines.cards");
    reconfigure(here, renamed);
    let said = run_as_planned(here, &[]);
    assert!(
        said.code != 0 && said.err.contains("riskstream state rename OLD cards"),
        "{}",
        said.err
    );
    let asked = state(here, &["rename", "p", "cards"]).refused(2);
    assert!(asked.contains("tables and topics go on knowing it as `p`"), "{asked}");
    state(here, &["rename", "p", "cards", "--yes"]).ok();
    half(here, 1);
    run_as_planned(here, &[]).ok();
    assert_eq!(rows(here, SEEN), of_one_run(BOOK, SEEN));
    assert_eq!(rows(here, alerts), of_one_run(BOOK, alerts));

    // A new pipeline of the old name would write under the same name.
    reconfigure(here, |text| {
        format!(
            "{text}\n[pipelines.p]\nfrom = \"s\"\n\n[[pipelines.p.to]]\nid    = \"all\"\n\
             kind  = \"delta\"\ntable = \"other\"\n"
        )
    });
    let said = run_as_planned(here, &[]).refused(2);
    assert!(said.contains("tables and topics know the pipeline `cards` as `p`"), "{said}");
}

#[test]
fn what_is_stored_of_a_pipeline_that_is_gone_can_be_dropped() {
    let folder = configured(BOOK);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    let bytes = |here: &Path| {
        state(here, &["list", "--format", "json"]).json()["pipelines"][0]["bytes"].as_u64().unwrap()
    };
    let before = bytes(here);
    reconfigure(here, |text| {
        text.replace("pipelines.p", "pipelines.q")
            .replace("\"seen\"", "\"other\"")
            .replace("\"alerts\"\nwhen", "\"alerts\"\ntable = \"loud\"\nwhen")
    });
    assert!(state(here, &["list"]).ok().contains("NOT IN THE CONFIGURATION"));
    assert!(
        state(here, &["drop", "p", "--tables", "empty", "--yes"])
            .refused(2)
            .contains("nobody knows its tables")
    );
    assert!(
        state(here, &["drop", "pp", "--yes"])
            .refused(2)
            .contains("holds nothing of a pipeline `pp`")
    );
    state(here, &["drop", "p", "--yes"]).ok();
    assert!(bytes(here) < before / 2, "{before} bytes, then {}", bytes(here));
    // If the pipeline comes back, it begins at its source's beginning, and the table takes its
    // rows.
    reconfigure(here, |_| BOOK.to_owned());
    run_as_planned(here, &[]).ok();
    assert_eq!(count(here, "seen"), 2 * 149);
}

/// Files that `riskstream state list` and a run find damaged.
fn damage(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn newest(folder: &Path) -> std::path::PathBuf {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).max().unwrap()
}

#[test]
fn a_store_that_can_not_be_read_is_set_aside_and_the_pipeline_begins_anew() {
    let other_version: fn(&Path) = |store| {
        let text = fs::read_to_string(store.join("identity.json")).unwrap();
        fs::write(store.join("identity.json"), text.replace("\"version\": 6", "\"version\": 5"))
            .unwrap();
    };
    let damaged: fn(&Path) = |store| {
        fs::remove_dir_all(store.join("snapshots")).unwrap();
        damage(&newest(&store.join("epochs")));
    };
    let hole: fn(&Path) = |store| {
        fs::remove_dir_all(store.join("snapshots")).unwrap();
        fs::remove_file(
            fs::read_dir(store.join("epochs"))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .min()
                .unwrap(),
        )
        .unwrap();
    };
    let gone: fn(&Path) = |store| fs::remove_dir_all(store).unwrap();
    let ways = [
        ("another version", other_version, "version 5"),
        ("damaged", damaged, "damaged"),
        ("a hole", hole, "missing"),
        ("gone", gone, ""),
    ];
    for (name, destroy, why) in ways {
        for (tables, times) in [("empty", 1), ("keep", 2)] {
            let folder = configured(BOOK);
            let here = folder.path();
            run_as_planned(here, &[]).ok();
            let store = here.join("data/store/p");
            destroy(&store);
            let is_refused = run_as_planned(here, &[]);
            assert!(
                is_refused.code != 0 && is_refused.err.contains(why),
                "{name}: {}",
                is_refused.err
            );
            let planned = riskstream(here, &["plan"]);
            assert!(planned.out.contains("riskstream run --fresh p"), "{name}: {}", planned.out);
            if name != "gone" {
                let listed = state(here, &["list"]).ok();
                assert!(listed.contains("PROBLEM: ") && listed.contains(why), "{name}: {listed}");
            }
            let was_there = store.exists();
            let asked = riskstream(here, &["run", "--fresh", "p", "--tables", tables]).refused(2);
            assert!(
                name == "gone"
                    || asked.contains(
                        "data/store/p is renamed to data/set-aside/p; nothing in it is deleted"
                    ),
                "{asked}"
            );
            assert_eq!(
                (store.exists(), here.join("data/set-aside").exists()),
                (was_there, false),
                "nothing was changed"
            );
            riskstream(here, &["run", "--fresh", "p", "--tables", tables, "--yes"]).ok();
            assert_eq!(
                (count(here, "seen"), count(here, "dead_letters")),
                (times * 149, times),
                "{name}, {tables}"
            );
            assert_eq!(here.join("data/set-aside/p/identity.json").exists(), name != "gone");
            half(here, 1);
            run_as_planned(here, &["--workers", "2"]).ok();
            let distinct =
                "select distinct id, last_amount, nb_30d, total_30d from seen order by id";
            assert_eq!(rows(here, distinct), of_one_run(BOOK, SEEN), "{name}, {tables}");
            assert_eq!(count(here, "seen"), times * 149 + 149);
        }
    }
}

#[test]
fn a_renamed_pipeline_keeps_its_first_name_whatever_else_changes() {
    let folder = configured(BOOK);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    reconfigure(here, |text| text.replace("pipelines.p", "pipelines.cards"));
    state(here, &["rename", "p", "cards", "--yes"]).ok();
    // Tables know the first names of the pipeline and of the program.
    reconfigure(here, |text| text.replace("[riskstream]\n", "[riskstream]\nname = \"acme\"\n"));
    run_as_planned(here, &[]).ok();
    half(here, 1);
    run_as_planned(here, &[]).ok();
    assert_eq!(count(here, "seen"), 298);
    // The new store that takes the place of an unreadable one keeps the name too.
    fs::write(here.join("data/store/cards/identity.json"), "{").unwrap();
    riskstream(here, &["run", "--fresh", "cards", "--tables", "empty", "--yes"]).ok();
    run_as_planned(here, &[]).ok();
    assert_eq!(count(here, "seen"), 298);
    // The pipeline is renamed once more: a refusal names its rows by the first name, and its store
    // has the last one.
    reconfigure(here, |text| text.replace("pipelines.cards", "pipelines.last"));
    let said = run_as_planned(here, &[]);
    assert!(
        said.code != 0 && said.err.contains("/p`, which the configuration does not have"),
        "{}",
        said.err
    );
    assert!(
        state(here, &["rename", "p", "last", "--yes"])
            .refused(2)
            .contains("`cards` is what was `p` first")
    );
    state(here, &["rename", "cards", "last", "--yes"]).ok();
    run_as_planned(here, &[]).ok();
    assert_eq!(count(here, "seen"), 298);
}

#[test]
fn what_is_emptied_is_what_was_agreed_to_under_the_names_of_then() {
    let folder = configured(BOOK);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    // The program has a new name, which the tables do not know yet.
    reconfigure(here, |text| text.replace("[riskstream]\n", "[riskstream]\nname = \"acme\"\n"));
    assert_ne!(run_as_planned(here, &[]).code, 0);
    let said = riskstream(here, &["run", "--fresh", "p", "--tables", "empty", "--yes"]);
    assert!(said.err.contains("table seen is emptied of its 149 rows"), "{}", said.err);
    said.ok();
    assert_eq!((count(here, "seen"), count(here, "dead_letters")), (149, 1));
    // A table that is named only afterwards keeps what it has.
    fs::create_dir_all(here.join("other")).unwrap();
    let other = BOOK
        .replace("\"seen\"", "\"watched\"")
        .replace("[riskstream]\n", "[riskstream]\nname = \"acme\"\n");
    fs::write(here.join("other/pipelines.toml"), other.replace("in/*.csv", "../in/*.csv")).unwrap();
    riskstream(&here.join("other"), &["run"]).ok();
    fs::rename(here.join("other/data/tables/watched"), here.join("data/tables/watched")).unwrap();
    state(here, &["drop", "p", "--tables", "empty", "--yes"]).ok();
    reconfigure(here, |text| text.replace("\"seen\"", "\"watched\""));
    riskstream(here, &["run"]).ok();
    assert!(count(here, "watched") >= 149 && count(here, "seen") == 149);
}

#[test]
fn a_table_is_emptied_once_however_often_the_first_run_is_stopped_before_it_delivers() {
    let folder = configured(BOOK);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    state(here, &["drop", "p", "--tables", "empty", "--yes"]).ok();
    // Twice: what is to be emptied already is told again, and the second choice does not take the
    // first one back.
    state(here, &["drop", "p", "--tables", "keep", "--yes"]).ok();
    assert!(riskstream(here, &["plan"]).ok().contains("is emptied first"));
    // The log can't be written: a run delivers nothing.
    let log = here.join("data/tables/seen/_delta_log");
    let away = here.join("data/tables/seen/away");
    fs::rename(&log, &away).unwrap();
    fs::write(&log, "no folder").unwrap();
    for _ in 0..2 {
        assert_ne!(riskstream(here, &["run"]).code, 0);
    }
    fs::remove_file(&log).unwrap();
    fs::rename(&away, &log).unwrap();
    assert_eq!(count(here, "seen"), 0, "what is committed is seen at once");
    for _ in 0..2 {
        run_as_planned(here, &[]).ok();
        assert_eq!((count(here, "seen"), count(here, "dead_letters")), (149, 1));
    }
}
