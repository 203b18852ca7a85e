//! Tables as they were: on the command line, and through the port.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::program::riskstream;

const CONFIG: &str = r#"
[sources.payments]
kind       = "file"
path       = "in/*.csv"
schema     = { id = "int64", time = "timestamp", customer = "string" }
event_time = { column = "time", ties_by = ["id"] }

[pipelines.p]
from  = "payments"
order = "arrival"

[[pipelines.p.to]]
id    = "t"
kind  = "delta"
table = "t"

[query]
users = "users.toml"
"#;
const USERS: &str = r#"
[users.acme]
password   = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$VERIFIER"
roles      = ["customer"]
attributes = { customer = ["c1"] }

[roles.customer]
tables = ["t"]
rows   = [{ table = "*", column = "customer", in = "customer" }]
"#;
/// No password is known for it.
const VERIFIER: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=:\
                        YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";
/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two runs, of ten rows each, and the version that each left behind.
struct Landed {
    folder: TempDir,
    first: u64,
    last: u64,
}

fn landed() -> Landed {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("pipelines.toml"), CONFIG).unwrap();
    fs::write(here.join("users.toml"), USERS.replace("VERIFIER", VERIFIER)).unwrap();
    fs::create_dir(here.join("in")).unwrap();
    let run = |number: u64| {
        let row = |id: u64| format!("{id},2024-01-01T10:00:{:02}Z,c{}\n", id % 60, id % 2);
        let rows: String = (10 * number..10 * number + 10).map(row).collect();
        let path = here.join(format!("in/{number}.csv"));
        fs::write(path, format!("id,time,customer\n{rows}")).unwrap();
        riskstream(here, &["run"]).ok();
        newest(here)
    };
    let (first, last) = (run(0), run(1));
    assert!(0 < first && first < last, "{first} {last}");
    Landed { folder, first, last }
}

fn commit(folder: &Path, version: u64) -> std::path::PathBuf {
    folder.join(format!("data/tables/t/_delta_log/{version:020}.json"))
}

fn newest(folder: &Path) -> u64 {
    (0..).take_while(|version| commit(folder, *version).exists()).last().unwrap()
}

/// The one value that a statement gives.
#[track_caller]
fn value(folder: &Path, sql: &str) -> String {
    let said = riskstream(folder, &["query", sql, "--format", "csv"]).ok();
    said.lines().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn the_command_line_asks_for_versions_and_times() {
    let Landed { folder, first, last } = landed();
    let here = folder.path();
    for (sql, expected) in [
        ("select count(*) from t".to_owned(), "20"),
        (format!("select count(*) from t for version as of {first}"), "10"),
        (format!("select max(id) from t for version as of {first}"), "9"),
        (format!("select count(*) from t version as of {last}"), "20"),
        ("select count(*) from t for version as of 0".to_owned(), "0"),
        (
            format!(
                "select count(*) from t join t for version as of {first} as was \
                 on t.id = was.id where t.customer = 'c1'"
            ),
            "5",
        ),
        ("select count(*) from t for timestamp as of now()".to_owned(), "20"),
    ] {
        assert_eq!(value(here, &sql), expected, "{sql}");
    }
    let said = riskstream(here, &["query", "select * from t for version as of 1000"]).refused(1);
    assert!(said.contains(&format!("there are versions 0 to {last}")), "{said}");
    riskstream(here, &["query", "select * from t for version as of soon"]).refused(2);

    // As if the versions had been made a day after each other.
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_294_400);
    for version in 0..=last {
        let file = fs::OpenOptions::new().write(true).open(commit(here, version)).unwrap();
        let days = if version <= first { 0 } else { 1 };
        file.set_modified(noon + Duration::from_secs(86_400) * days).unwrap();
    }
    for (time, expected) in [
        ("'2024-03-01 12:00:00Z'", "10"),
        ("'2024-03-02 11:59:59Z'", "10"),
        ("timestamptz '2024-03-02 14:00:00+02'", "20"),
        ("'2024-03-03'", "20"),
    ] {
        for form in ["timestamp", "system_time"] {
            let sql = format!("select count(*) from t for {form} as of {time}");
            assert_eq!(value(here, &sql), expected, "{sql}");
        }
    }
    let early = "select * from t for timestamp as of '2024-03-01 11:59'";
    let said = riskstream(here, &["query", early]).refused(1);
    assert!(said.contains("its oldest version, 0, is of 2024-03-01T12:00:00Z"), "{said}");
}

#[test]
fn a_user_sees_of_an_old_version_what_it_sees_of_the_new() {
    let Landed { folder, first, .. } = landed();
    let here = folder.path();
    let asked = |sql: &str| {
        let args = ["query", "--as", "acme", sql, "--format", "csv"];
        riskstream(here, &args).ok().lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(asked("select count(*) from t"), ["10"]);
    let old = format!("select id from t for version as of {first} order by id");
    assert_eq!(asked(&old), ["1", "3", "5", "7", "9"]);
    let other = format!("select count(*) from t for version as of {first} where customer = 'c0'");
    assert_eq!(asked(&other), ["0"]);
}

/// A server of the port, without users.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(folder: &Path) -> Self {
        let config = fs::read_to_string(folder.join("pipelines.toml")).unwrap();
        let config = config.replace("users = \"users.toml\"", "postgres = \"127.0.0.1:0\"");
        fs::write(folder.join("open.toml"), config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_riskstream"))
            .args(["serve", "--config", "open.toml"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let words: Vec<&str> = said.split_whitespace().collect();
        let after = |flag: &str| {
            let at =
                words.iter().position(|word| *word == flag).unwrap_or_else(|| panic!("{said}"));
            words[at + 1].trim_end_matches(',')
        };
        let address = format!("{}:{}", after("-h"), after("-p"));
        Self { child, address }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A client that speaks as much of PostgreSQL's protocol as it needs.
struct Client(TcpStream);

impl Client {
    fn of(served: &Served) -> Self {
        let stream = TcpStream::connect(&served.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self(stream);
        let mut start = 196_608_u32.to_be_bytes().to_vec();
        start.extend(b"user\0ada\0database\0riskstream\0\0");
        client.send(&start);
        client.until_ready();
        client
    }

    fn send(&mut self, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        self.0.write_all(&[&length, body].concat()).unwrap();
    }

    /// The messages up to the one that says that the next statement may come.
    fn until_ready(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut messages = Vec::new();
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let mut body = vec![0; usize::try_from(length).unwrap() - 4];
            self.0.read_exact(&mut body).unwrap();
            if head[0] == b'Z' {
                return messages;
            }
            messages.push((head[0], body));
        }
    }

    /// The first value of the first row, or the error's code.
    fn ask(&mut self, sql: &str) -> Result<String, String> {
        self.0.write_all(b"Q").unwrap();
        self.send(&[sql.as_bytes(), b"\0"].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for (kind, body) in self.until_ready() {
            match kind {
                // The number of columns, then of each its length.
                b'D' => {
                    let length = u32::from_be_bytes([body[2], body[3], body[4], body[5]]);
                    return Ok(text(&body[6..6 + usize::try_from(length).unwrap()]));
                }
                b'E' => {
                    let fields = body.split(|byte| *byte == 0);
                    let code = fields.filter_map(|field| field.strip_prefix(b"C")).next();
                    return Err(text(code.unwrap()));
                }
                _ => {}
            }
        }
        Ok(String::new())
    }
}

#[test]
fn the_port_asks_for_versions_too() {
    let Landed { folder, first, last } = landed();
    let served = Served::start(folder.path());
    let mut client = Client::of(&served);
    for (sql, expected) in [
        (format!("select count(*) from t for version as of {first}"), Ok("10")),
        (format!("select count(*) from \"t for version as of {first}\""), Ok("10")),
        ("select count(*) from t for version as of 99999".to_owned(), Err("22023")),
        ("select count(*) from t for timestamp as of 'soon'".to_owned(), Err("22007")),
        ("select count(*) from nothing for version as of 1".to_owned(), Err("42P01")),
        ("select count(*) from t for version as of x".to_owned(), Err("42601")),
        ("select count(*) from t for timestamp as of now()".to_owned(), Ok("20")),
        ("begin".to_owned(), Ok("")),
        (format!("declare c cursor for select id from t for version as of {last}"), Ok("")),
        ("fetch 1 from c".to_owned(), Ok("0")),
        ("commit".to_owned(), Ok("")),
        ("select count(*) from t".to_owned(), Ok("20")),
    ] {
        let found = client.ask(&sql);
        let found = found.as_ref().map(String::as_str).map_err(String::as_str);
        match (sql.starts_with("fetch"), found) {
            // Any row may come first.
            (true, Ok(id)) => assert!(id.parse::<u64>().unwrap() < 20, "{id}"),
            (true, Err(code)) => panic!("{sql}: {code}"),
            (false, found) => assert_eq!(found, expected, "{sql}"),
        }
    }
}
