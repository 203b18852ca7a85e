//! `riskstream plan`: what it says before a run, and that a run does just that.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program::{riskstream, run_as_planned};
use crate::running::Running;
use crate::state::{BOOK, configured, count, half, reconfigure};

/// Every file below a folder, and what is in it.
fn everything(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                drop(found.insert(path.clone(), fs::read(&path).unwrap()))
            }
        }
    }
    found
}

/// The plan, and whether it says that a run would start; it must change nothing.
fn plan(here: &Path) -> Value {
    let before = everything(here);
    let said = riskstream(here, &["plan", "--format", "json"]);
    assert!(before == everything(here), "a plan changed something");
    let plan: Value =
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}{}", said.out, said.err));
    assert_eq!(said.code, if plan["would_start"] == true { 0 } else { 2 }, "{plan:#}");
    plan
}

/// The items of a plan's pipelines: what, name and fate, and all of it.
fn items(plan: &Value) -> Vec<(String, Value)> {
    let of = |item: &Value| {
        let text = |key: &str| item[key].as_str().unwrap().to_owned();
        (format!("{} {}: {}", text("what"), text("name"), text("fate")), item.clone())
    };
    plan["pipelines"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|p| p["items"].as_array().unwrap())
        .map(of)
        .collect()
}

#[track_caller]
fn item(plan: &Value, wanted: &str) -> Value {
    let found = items(plan).into_iter().find(|(said, _)| said == wanted);
    found.unwrap_or_else(|| panic!("no `{wanted}` in {plan:#}")).1
}

#[test]
fn before_the_first_run_everything_begins_and_nothing_is_made() {
    let folder = configured(BOOK);
    let said = plan(folder.path());
    let all: Vec<String> = items(&said).into_iter().map(|(said, _)| said).collect();
    let expected = [
        "pipeline p: begins_empty",
        "source s: begins_at_beginning",
        "step before: begins_empty",
        "step spending: begins_empty",
        "sink all: begins_empty",
        "sink large: begins_empty",
        "sink dead_letters: begins_empty",
    ];
    assert_eq!(all, expected);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let page = riskstream(folder.path(), &["plan"]).ok();
    assert!(page.contains("a run would start; nothing was changed"), "{page}");
}

#[test]
fn after_a_run_everything_goes_on_and_the_page_says_from_where() {
    let folder = configured(BOOK);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    half(here, 1);
    let said = plan(here);
    let epoch = item(&said, "pipeline p: goes_on")["after_epoch"].as_u64().unwrap();
    assert_eq!(item(&said, "sink all: goes_on")["after_epoch"], epoch);
    let source = item(&said, "source s: goes_on");
    assert_eq!(
        source["detail"],
        "1 partition read to the end; 1 partition new, read from the beginning"
    );
    assert_eq!(item(&said, "step spending: goes_on")["after_epoch"], epoch);
    let page = riskstream(here, &["plan"]).ok();
    assert!(page.contains(&format!("goes on after epoch {epoch}")), "{page}");
}

/// What is changed between two runs, and what a plan says then, of which thing.
struct Row {
    name: &'static str,
    change: fn(&Path),
    /// What, name and fate.
    says: &'static str,
    /// In detail or ways out.
    with: &'static str,
}

fn edit(here: &Path, from: &str, to: &str) {
    reconfigure(here, |text| text.replace(from, to));
}

/// Changes of sources, destinations and names; those of steps are in `changes`.
const ROWS: &[Row] = &[
    Row { name: "nothing", change: |_| {}, says: "pipeline p: goes_on", with: "" },
    Row {
        name: "a new file",
        change: |here| half(here, 1),
        says: "source s: goes_on",
        with: "1 partition new",
    },
    Row {
        name: "a file that was read is gone",
        change: |here| fs::remove_file(here.join("in/0.csv")).unwrap(),
        says: "source s: is_gone",
        with: "in/0.csv: read before",
    },
    Row {
        name: "a pattern that no longer names what was read",
        change: |here| {
            fs::create_dir_all(here.join("more")).unwrap();
            fs::copy(here.join("in/0.csv"), here.join("more/9.csv")).unwrap();
            edit(here, "in/*.csv", "more/*.csv");
        },
        says: "source s: is_gone",
        with: "no longer named",
    },
    Row {
        name: "a file that was read begins otherwise",
        change: |here| {
            let text = fs::read_to_string(here.join("in/0.csv")).unwrap();
            fs::write(
                here.join("in/0.csv"),
                text.replacen("id,at", "id,when", 1).replacen("2024", "2023", 3),
            )
            .unwrap();
        },
        says: "source s: is_refused",
        with: "has changed since it was read",
    },
    Row {
        name: "the source has another name",
        change: |here| {
            reconfigure(here, |text| {
                text.replace("sources.s]", "sources.t]").replace("from = \"s\"", "from = \"t\"")
            })
        },
        says: "source t: goes_on",
        with: "read to the end",
    },
    Row {
        name: "the program has another name",
        change: |here| edit(here, "[riskstream]\n", "[riskstream]\nname = \"other\"\n"),
        says: "pipeline p: needs_decision",
        with: "riskstream accept p",
    },
    Row {
        name: "a table has another name",
        change: |here| edit(here, "\"seen\"", "\"watched\""),
        says: "pipeline p: needs_decision",
        with: "the destination `all` was table seen and is table watched",
    },
    Row {
        name: "a destination has another id",
        change: |here| edit(here, "id    = \"all\"", "id    = \"every\""),
        says: "sink every: begins_empty",
        with: "table seen",
    },
    Row {
        name: "a destination is taken out",
        change: |here| {
            edit(
                here,
                "[[pipelines.p.to]]\nid    = \"large\"\nkind  = \"alerts\"\n\
                 when  = \"amount > 90\"\n",
                "",
            );
        },
        says: "sink large: is_gone",
        with: "all of its rows are delivered",
    },
    Row {
        name: "a destination is new",
        change: |here| {
            reconfigure(here, |text| {
                format!(
                    "{text}\n[[pipelines.p.to]]\nid    = \"more\"\nkind  = \"delta\"\n\
                     table = \"more\"\n"
                )
            });
        },
        says: "sink more: begins_empty",
        with: "table more",
    },
    Row {
        name: "a table is gone while the store has all of it",
        change: |here| fs::remove_dir_all(here.join("data/tables/seen")).unwrap(),
        says: "sink all: begins_empty",
        with: "149 rows of epochs 1 to",
    },
    Row {
        name: "a column has a type that the table does not take",
        change: |here| edit(here, "id = \"int64\"", "id = \"string\""),
        says: "pipeline p: goes_on",
        with: "",
    },
    Row {
        name: "a step has another id",
        change: |here| edit(here, "\"spending\"", "\"spendings\""),
        says: "step spending: needs_decision",
        with: "riskstream state rename p spending spendings",
    },
    Row {
        name: "a step counts by another column",
        change: |here| edit(here, "by       = \"who\"\nover", "by       = \"id\"\nover"),
        says: "step spending: is_refused",
        with: "riskstream run --fresh p",
    },
    Row {
        name: "the data folder is gone and the tables are not",
        change: |here| fs::remove_dir_all(here.join("data/store")).unwrap(),
        says: "sink all: is_refused",
        with: "bring the data folder back",
    },
];

#[test]
fn a_run_does_what_the_plan_says() {
    for Row { name, change, says, with } in ROWS {
        let folder = configured(BOOK);
        let here = folder.path();
        run_as_planned(here, &[]).ok();
        change(here);
        let said = plan(here);
        let told = item(&said, says).to_string();
        assert!(told.contains(with), "{name}: {told}");
        let run = run_as_planned(here, &[]);
        assert_eq!(
            run.code == 0,
            said["would_start"] == true,
            "{name}: {said:#}\n{}{}",
            run.out,
            run.err
        );
    }
}

#[test]
fn what_is_wrong_has_its_place_in_the_file() {
    let folder = configured(BOOK);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    edit(here, "by       = \"who\"\nover", "by       = \"id\"\nover");
    let step = item(&plan(here), "step spending: is_refused");
    let text = fs::read_to_string(here.join("pipelines.toml")).unwrap();
    let line = text.lines().position(|line| line.contains("\"spending\"")).unwrap() + 1;
    assert_eq!(
        (step["file"].as_str(), step["line"].as_u64(), step["column"].as_u64()),
        (Some("pipelines.toml"), Some(line as u64), Some(12))
    );
    let page = riskstream(here, &["plan"]);
    assert_eq!(page.code, 2);
    assert!(
        page.out.contains(&format!("at pipelines.toml:{line}:12"))
            && page.out.contains("IS REFUSED"),
        "{}",
        page.out
    );
}

#[test]
fn a_pipeline_that_is_gone_is_named_for_as_long_as_something_is_stored_of_it() {
    let folder = configured(BOOK);
    let here = folder.path();
    run_as_planned(here, &[]).ok();
    reconfigure(here, |text| {
        text.replace("pipelines.p", "pipelines.q")
            .replace("\"seen\"", "\"other\"")
            .replace("\"alerts\"\nwhen", "\"alerts\"\ntable = \"loud\"\nwhen")
    });
    let said = plan(here);
    assert_eq!(said["would_start"], true);
    assert!(
        item(&said, "pipeline p: is_gone")["ways_out"]
            .as_str()
            .unwrap()
            .contains("riskstream state drop p")
    );
    riskstream(here, &["state", "drop", "p", "--yes"]).ok();
    assert!(items(&plan(here)).iter().all(|(said, _)| said != "pipeline p: is_gone"));
}

#[test]
fn new_names_are_accepted_and_no_row_comes_twice() {
    for (from, to, table) in [
        ("[riskstream]\n", "[riskstream]\nname = \"other\"\n", "seen"),
        ("\"seen\"", "\"watched\"", "watched"),
    ] {
        let folder = configured(BOOK);
        let here = folder.path();
        run_as_planned(here, &[]).ok();
        edit(here, from, to);
        let refused = run_as_planned(here, &[]);
        assert!(
            refused.code != 0 && refused.err.contains("riskstream accept p"),
            "{}",
            refused.err
        );
        let asked = riskstream(here, &["accept", "p"]).refused(2);
        assert!(asked.contains("go under the new name"), "{asked}");
        riskstream(here, &["accept", "p", "--yes"]).ok();
        assert_eq!(plan(here)["would_start"], true);
        half(here, 1);
        run_as_planned(here, &[]).ok();
        run_as_planned(here, &[]).ok();
        let expected = if table == "seen" { 298 } else { 149 };
        assert_eq!(count(here, table), expected);
        assert!(riskstream(here, &["accept", "p"]).ok().contains("nothing to accept"));
    }
}

#[test]
fn a_plan_works_beside_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let paced = "[sources.g]\nkind = \"generator\"\nrate = 2000\n\n[pipelines.p]\nfrom = \"g\"\n\n\
                 [[pipelines.p.to]]\nid = \"t\"\nkind = \"delta\"\ntable = \"t\"\n";
    fs::write(here.join("pipelines.toml"), paced).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_riskstream"))
        .arg("run")
        .current_dir(here)
        .output_to_nowhere();
    let started = std::time::Instant::now();
    while !here.join("data/tables/t/_delta_log/00000000000000000001.json").exists() {
        assert!(started.elapsed().as_secs() < 60, "nothing landed");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let said = riskstream(here, &["plan", "--format", "json"]).json();
    assert_eq!(
        (&said["pipelines"][0]["running"], &said["would_start"]),
        (&true.into(), &true.into())
    );
    let said = riskstream(here, &["state", "drop", "p", "--yes"]).refused(2);
    assert!(said.contains("is being run by another riskstream"), "{said}");
    drop(run);
}

trait Nowhere {
    fn output_to_nowhere(&mut self) -> Running;
}

impl Nowhere for Command {
    fn output_to_nowhere(&mut self) -> Running {
        Running(
            self.stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .expect("the program starts"),
        )
    }
}
