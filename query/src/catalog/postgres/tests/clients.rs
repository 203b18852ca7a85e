//! Every statement that clients were seen to send, in files of `statements/`.
//!
//! The files were recorded from the clients against PostgreSQL 15. `{loans}` stands for the number
//! of a table. A statement is followed by a line with `;;`, and a line `-- fails` before one says
//! that it does not work yet.

use std::fmt::Write as _;
use std::path::Path;

use super::*;

#[tokio::test]
async fn statements_of_clients_work() {
    let client = Client::new(lending());
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/catalog/postgres/tests/statements");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut wrong = String::new();
    let mut report = String::new();
    let mut count = 0;
    for path in paths {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for (at, statement) in text.split("\n;;").enumerate() {
            let statement = statement.trim();
            if statement.is_empty() {
                continue;
            }
            count += 1;
            let fails = statement.lines().any(|line| line == "-- fails");
            let mut asked = statement.to_owned();
            for (name, oid) in numbers(&client.known) {
                asked = asked.replace(&format!("{{{name}}}"), &oid.to_string());
            }
            match client.ask(&asked).await {
                Ok(answer) => {
                    if fails {
                        writeln!(wrong, "{file} {at} works now: {statement}").unwrap();
                    }
                    writeln!(report, "== {file} {at}\n{statement}\n--").unwrap();
                    writeln!(report, "{}", answer.names.join("|")).unwrap();
                    writeln!(report, "{}", answer.types.join("|")).unwrap();
                    for line in answer.lines() {
                        writeln!(report, "{line}").unwrap();
                    }
                }
                Err(error) if fails => {
                    writeln!(report, "== {file} {at}\n{statement}\n-- {error}").unwrap();
                }
                Err(error) => {
                    let error = error.to_string();
                    let error: String = error.chars().take(600).collect();
                    writeln!(wrong, "== {file} {at}: {error}\n{statement}").unwrap();
                }
            }
        }
    }
    if let Some(path) = std::env::var_os("CATALOG_REPORT") {
        std::fs::write(path, report + "\n#### WRONG\n" + &wrong).unwrap();
    }
    assert!(count > 100, "the files are there");
    assert!(wrong.is_empty(), "{wrong}");
}
