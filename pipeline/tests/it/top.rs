//! `riskstream top` beside a running program.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::riskstream;
use crate::running::{PATIENCE, Service, eventually};

const CONFIG: &str = r#"
[sources.payments]
kind       = "file"
path       = "in/*.csv"
follow     = true
schema     = { id = "int64", time = "timestamp", customer = "string", amount = "decimal(12,2)" }
event_time = { column = "time" }

[pipelines.spending]
from  = "payments"
order = "arrival"

[[pipelines.spending.steps]]
id       = "customer"
features = { spent = "sum(amount)" }
by       = "customer"
over     = ["1d"]

[[pipelines.spending.to]]
id    = "all"
kind  = "delta"
table = "spending"

[sources.others]
kind   = "file"
path   = "other/*.csv"
schema = { id = "int64", time = "timestamp" }
event_time = { column = "time" }

[pipelines.others]
from = "others"

[[pipelines.others.to]]
id    = "others"
kind  = "delta"
table = "others"
"#;

/// Looks until it sees something of the pipeline `spending`.
#[track_caller]
fn seen(here: &Path, is_there: impl Fn(&Value) -> bool) -> Value {
    eventually("what `top` is to show", || {
        let said = riskstream(here, &["top", "--format", "json"]);
        if said.code != 0 {
            return Err(said.err);
        }
        let model = said.json();
        if is_there(&model["pipelines"][0]) { Ok(model) } else { Err(format!("{model:#}")) }
    })
}

/// Draws on a terminal that the program `script` makes, where there is one; two keys, then `q`.
fn keys_end_it_and_the_terminal_is_as_it_was(here: &Path) {
    let top = format!("stty rows 30 cols 100; {} top", env!("CARGO_BIN_EXE_riskstream"));
    let terminal = Command::new("script")
        .args(["-qec", &top, "/dev/null"])
        .current_dir(here)
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut terminal) = terminal else { return };
    let mut keys = terminal.stdin.take().unwrap();
    for key in ["s", "p", "q"] {
        std::thread::sleep(Duration::from_millis(700));
        keys.write_all(key.as_bytes()).unwrap();
    }
    let until = Instant::now() + PATIENCE;
    while terminal.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            terminal.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = terminal.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}");
    for shown in ["PIPELINE", "spending", "customer", "DESTINATION", "paused", "quit"] {
        assert!(text.contains(shown), "{shown} was not drawn: {text:?}");
    }
    let (entered, left) = (text.rfind("\x1b[?1049h"), text.rfind("\x1b[?1049l"));
    assert!(entered.is_some() && left > entered, "the terminal's own page is not back: {text:?}");
}

#[test]
fn top_shows_a_running_program_and_says_when_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir(here.join("in")).unwrap();
    let rows = "id,time,customer,amount\n1,2018-04-01T10:00:00Z,c1,10.00\n\
                2,2018-04-01T11:00:00Z,c2,20.00\nx,2018-04-01T12:00:00Z,c2,20.00\n";
    fs::write(here.join("in/1.csv"), rows).unwrap();
    fs::write(here.join("pipelines.toml"), CONFIG).unwrap();
    let nobody = riskstream(here, &["top", "--once"]).refused(1);
    assert!(nobody.contains("no program runs") && nobody.contains("riskstream run"), "{nobody}");

    let program = Service::start(here, &["--only", "spending"]);
    let model = seen(here, |spending| {
        let all = &spending["now"]["sinks"][0];
        spending["now"]["dead"] == 1 && all["epochs_waiting"] == 0
    });
    let [spending, others] = [0, 1].map(|number| &model["pipelines"][number]);
    assert_eq!((&spending["condition"], &others["condition"]), (&"runs".into(), &"down".into()));
    assert!(others["now"].is_null(), "{others}");
    let now = &spending["now"];
    let (process, workers) = (now["program"]["process"].as_u64(), &now["workers"]);
    assert_eq!((process, workers), (Some(program.id().into()), &2.into()));
    assert_eq!((&now["rows"], &now["late"], &now["restarts"]), (&2.into(), &0.into(), &0.into()));
    let names = |list: &str, key: &str| -> Vec<String> {
        let all = now[list].as_array().unwrap().iter();
        all.map(|one| one[key].as_str().unwrap().to_owned()).collect()
    };
    let steps = ["source.read", "decode", "source.hold", "customer", "split"];
    assert_eq!(names("steps", "step"), steps);
    assert_eq!(names("sinks", "sink"), ["all", "dead_letters"]);
    // Micros of 2018-04-01 11:00, the newest row that could be read.
    assert_eq!(now["event_time_micros"], 1_522_580_400_000_000_i64);

    let text = riskstream(here, &["top", "--once"]).ok();
    let line = |first: &str| {
        let found = text.lines().find(|line| line.split_whitespace().next() == Some(first));
        found.unwrap_or_else(|| panic!("no line of {first}:\n{text}"))
    };
    assert!(line("spending").contains("runs") && line("others").contains("down"), "{text}");
    assert!(line("process").contains(&program.id().to_string()), "{text}");
    line("customer");
    line("all");
    let refused = riskstream(here, &["top"]).refused(2);
    assert!(refused.contains("no terminal") && refused.contains("--once"), "{refused}");

    // New rows show in the rates.
    let more: String =
        (0..5_000).map(|id| format!("{id},2018-04-02T10:00:00Z,c{},1.00\n", id % 50)).collect();
    fs::write(here.join("in/2.csv"), format!("id,time,customer,amount\n{more}")).unwrap();
    let model = seen(here, |spending| spending["now"]["rows"] == 5_002);
    let now = &model["pipelines"][0]["now"];
    assert!(now["rows_per_second"].as_f64().unwrap() > 0.0, "{now:#}");
    let customer = &now["steps"][3];
    assert!(customer["rows_in_per_second"].as_f64().unwrap() > 0.0, "{customer}");
    assert!(customer["busy"].as_f64().unwrap() > 0.0, "{customer}");
    assert!(customer["state_bytes"].as_u64().unwrap() > 0, "{customer}");

    keys_end_it_and_the_terminal_is_as_it_was(here);

    // Killed, it can't say that it ends; nobody holds its store then.
    drop(program);
    eventually("the end of a killed program", || match riskstream(here, &["top", "--once"]).code {
        0 => Err("it seems to run".to_owned()),
        _ => Ok(()),
    });
}
