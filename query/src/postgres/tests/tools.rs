//! Real clients, where the machine has them.

use std::process::Command;

use super::Served;

const PSQL: &str = "/usr/lib/postgresql/15/bin/psql";

#[test]
fn psql_runs_a_script() {
    if !std::path::Path::new(PSQL).exists() {
        return;
    }
    let served = Served::new();
    let port = served.port.address().port().to_string();
    let script = "\\set FETCH_COUNT 1000\n\
        select count(*) from generate_series(1, 10);\n\
        select * from generate_series(1, 3);\n\
        \\copy (select 7) to stdout\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.sql");
    std::fs::write(&file, script).unwrap();
    let output = Command::new(PSQL)
        .args(["-X", "-h", "127.0.0.1", "-p", &port, "-U", "ada", "-At", "-f"])
        .arg(&file)
        .arg("riskstream")
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(text, "10\n1\n2\n3\n7\n");
}
