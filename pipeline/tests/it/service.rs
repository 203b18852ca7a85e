//! The program as a service: failures are told at once, metrics and spans are what the page says,
//! and what supervises it can be started.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use riskstream_pipeline::config;
use riskstream_pipeline::config::spec::{Log, LogFormat, LogLevel, OnFailure, Restart};
use riskstream_pipeline::service::catalog;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{project, riskstream};
use crate::running::{Service, eventually, message};

/// Reads `in/*.csv` for as long as it runs.
const FOLLOWED: &str = r#"
[metrics]
listen = "127.0.0.1:0"

[maintain]
every = "1s"

[sources.payments]
kind       = "file"
path       = "in/*.csv"
follow     = true
schema     = { id = "int64", time = "timestamp", customer = "string", amount = "decimal(12,2)" }
event_time = { column = "time", idle_after = "100ms" }

[pipelines.spending]
from  = "payments"
order = "arrival"
ON_FAILURE

[[pipelines.spending.steps]]
id       = "customer"
features = { spent = "sum(amount)" }
by       = "customer"
over     = ["1d"]

[[pipelines.spending.to]]
id    = "spending"
kind  = "delta"
table = "spending"
"#;

/// A second pipeline, which does not fail.
const OTHER: &str = r#"
[sources.other]
kind       = "file"
path       = "other/*.csv"
follow     = true
schema     = { id = "int64", time = "timestamp" }
event_time = { column = "time" }

[pipelines.other]
from = "other"

[[pipelines.other.to]]
id    = "other"
kind  = "delta"
table = "other"
"#;

const GOOD: &str = "id,time,customer,amount\n\
                    1,2018-04-01T10:00:00Z,c1,10.00\n\
                    2,2018-04-01T11:00:00Z,c2,20.00\n\
                    x,2018-04-01T12:00:00Z,c2,20.00\n";
/// Two columns of one name: no row of it can be read.
const BAD: &str = "id,time,id\n";

fn folder(on_failure: &str, more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for name in ["in", "other"] {
        fs::create_dir(here.join(name)).unwrap();
    }
    fs::write(here.join("in/1.csv"), GOOD).unwrap();
    fs::write(here.join("other/1.csv"), "id,time\n1,2018-04-01T10:00:00Z\n").unwrap();
    let config = FOLLOWED.replace("ON_FAILURE", on_failure) + more;
    fs::write(here.join("pipelines.toml"), config).unwrap();
    folder
}

/// When a line of the log was written, seconds since 1970.
fn written_at(line: &Value) -> f64 {
    let text = line["timestamp"].as_str().unwrap();
    let at = chrono::DateTime::parse_from_rfc3339(text).unwrap();
    at.timestamp_micros() as f64 / 1e6
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The status and the body of an answer.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The value of a sample, as the text has it.
fn sample(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn a_failing_pipeline_is_told_of_at_once_and_ends_the_program_with_a_status_of_its_own() {
    let folder = folder("", OTHER);
    let mut service = Service::start(folder.path(), &[]);
    service.says("pipeline spending: reads");
    service.says("pipeline other: reads");
    let address = service.address();
    eventually("readiness", || match get(address, "/readyz") {
        (200, _) => Ok(()),
        (status, body) => Err(format!("{status} {body}")),
    });
    fs::write(folder.path().join("in/2.csv"), BAD).unwrap();
    let status = service.ends();
    let ended = now();
    assert_eq!(status.code(), Some(3));
    let lines = service.lines();
    let errors: Vec<&Value> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    let [told] = errors[..] else { panic!("told {} times: {errors:#?}", errors.len()) };
    assert_eq!(told["pipeline"], "spending");
    assert!(message(told).contains("2.csv"), "{told}");
    let took = ended - written_at(told);
    assert!(took < 1.0, "the program ended {took:.2} s after it had told of the failure");
    service.says("pipeline spending has failed: the others end after their open epoch");
    service.says("pipeline other: stopped");
}

#[test]
fn a_pipeline_that_may_starts_again_until_it_goes_on() {
    let on_failure = "on_failure = \"restart\"\nrestart = { min = \"300ms\", max = \"600ms\" }";
    let folder = folder(on_failure, "");
    let mut service = Service::start(folder.path(), &[]);
    service.says("pipeline spending: reads");
    let address = service.address();
    fs::write(folder.path().join("in/2.csv"), BAD).unwrap();
    let told = service.says("2.csv");
    assert_eq!(told["level"], "ERROR");
    let metrics = get(address, "/metrics").1;
    let seen = now() - written_at(&told);
    assert!(seen < 1.0, "the metrics were asked {seen:.2} s after the failure");
    let of = "{pipeline=\"spending\"}";
    let value = |text: &str, name: &str| sample(text, &format!("{name}{of}"));
    assert!(value(&metrics, "riskstream_pipeline_failures_total") >= Some(1.0), "{metrics}");
    service.says("starts again in");
    let (status, why) = eventually("being unready", || match get(address, "/readyz") {
        (200, body) => Err(body),
        unready => Ok(unready),
    });
    assert_eq!(status, 503);
    assert!(why.contains("pipeline spending"), "{why}");
    assert_eq!(get(address, "/healthz"), (200, "ok\n".to_owned()));
    eventually("a second failure", || {
        let text = get(address, "/metrics").1;
        (value(&text, "riskstream_pipeline_failures_total") >= Some(2.0)).then_some(()).ok_or(text)
    });

    let mended = folder.path().join("mended");
    fs::write(&mended, GOOD.replace("2018-04-01", "2018-04-02")).unwrap();
    fs::rename(&mended, folder.path().join("in/2.csv")).unwrap();
    eventually("four rows", || {
        let text = get(address, "/metrics").1;
        let committed = value(&text, "riskstream_rows_committed_total") == Some(4.0);
        let up = value(&text, "riskstream_pipeline_up") == Some(1.0);
        (committed && up).then_some(()).ok_or(text)
    });
    eventually("readiness", || match get(address, "/readyz") {
        (200, _) => Ok(()),
        (status, body) => Err(format!("{status} {body}")),
    });
    let text = get(address, "/metrics").1;
    assert!(value(&text, "riskstream_pipeline_restarts_total") >= Some(2.0), "{text}");
    service.terminate();
    assert_eq!(service.ends().code(), Some(0));
    service.says("pipeline spending: stopped");
    let rows = riskstream(folder.path(), &["query", "select * from spending", "--format", "json"]);
    assert_eq!(rows.rows().len(), 4);
}

/// Everything that a run has a metric for: late rows, dead letters, a sink, a state.
fn scraped(service: &Service) -> String {
    let address = service.address();
    eventually("a delivery, a count of files and a round of maintenance", || {
        let (status, text) = get(address, "/metrics");
        assert_eq!(status, 200);
        let of = |name: &str, labels: &str| sample(&text, &format!("{name}{{{labels}}}"));
        let dead = of("riskstream_dead_letters_total", "pipeline=\"spending\",reason=\"type\"");
        let delivered =
            of("riskstream_sink_delivered_epoch", "pipeline=\"spending\",sink=\"spending\"");
        let disk = of("riskstream_store_disk_bytes", "pipeline=\"spending\"");
        let partition = text.contains("riskstream_partition_watermark_timestamp_seconds{");
        let maintained =
            of("riskstream_table_files", "table=\"spending\"") > Some(0.0) && partition;
        let all = dead == Some(1.0) && delivered > Some(0.0) && disk > Some(0.0) && maintained;
        all.then(|| text.clone()).ok_or(text)
    })
}

/// Asks statements by PostgreSQL's protocol, and waits for the end of the last.
fn asked(service: &Service, statements: &[&str]) {
    let said = service.says("query: psql");
    let mut words = message(&said).split_whitespace();
    let port = words.find(|word| *word == "-p").and_then(|_| words.next()).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port.parse::<u16>().unwrap())).unwrap();
    let start = b"\0\x03\0\0user\0analyst\0\0";
    let framed = |tag: &[u8], body: &[u8]| {
        [tag, &(u32::try_from(body.len()).unwrap() + 4).to_be_bytes(), body].concat()
    };
    let mut ready = |message: Vec<u8>| {
        stream.write_all(&message).unwrap();
        loop {
            let mut head = [0; 5];
            stream.read_exact(&mut head).unwrap();
            let bytes = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) - 4;
            stream.read_exact(&mut vec![0; bytes as usize]).unwrap();
            if head[0] == b'Z' {
                break;
            }
        }
    };
    ready(framed(b"", start));
    for statement in statements {
        ready(framed(b"Q", &[statement.as_bytes(), b"\0"].concat()));
    }
}

#[test]
fn a_scrape_is_what_the_page_says_and_promtool_has_nothing_against_it() {
    let folder = folder("", "\n[query]\npostgres = \"127.0.0.1:0\"\n");
    let service = Service::start(folder.path(), &[]);
    asked(&service, &["select generate_series from generate_series(1, 3)", "select nothing"]);
    let text = scraped(&service);
    let page = fs::read_to_string(project("docs/metrics.md")).unwrap();
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for metric in catalog::ALL {
        let labels = match metric.labels {
            [] => "no labels".to_owned(),
            labels => labels.join(", "),
        };
        let (name, kind, unit) = (metric.name, metric.kind.as_str(), metric.unit);
        let entry = format!("- `{name}` ({kind}; {unit}; {labels}): {}", metric.help);
        assert!(page.contains(&entry), "docs/metrics.md has no entry\n{entry}");
    }
    let types = |text: &str| -> Vec<(String, String)> {
        text.lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .collect()
    };
    let known: Vec<(String, String)> = catalog::ALL
        .iter()
        .map(|metric| (metric.name.to_owned(), metric.kind.as_str().to_owned()))
        .collect();
    let found = types(&text);
    assert!(found.iter().all(|shown| known.contains(shown)), "{found:?}");
    // A source without an end has no read ratio, and the port has no users.
    let missing: Vec<&str> = known
        .iter()
        .filter(|metric| !found.contains(metric))
        .map(|(name, _)| name.as_str())
        .collect();
    let unknown = ["riskstream_source_read_ratio", "riskstream_query_users_file_wrong"];
    assert!(missing.iter().all(|name| unknown.contains(name)), "{missing:?}");
    let of = |name: &str, labels: &str| sample(&text, &format!("{name}{{{labels}}}"));
    let step = "pipeline=\"spending\",step=\"customer\"";
    assert_eq!(of("riskstream_step_rows_in_total", step), Some(2.0), "{text}");
    let decode = "pipeline=\"spending\",step=\"decode\"";
    assert_eq!(of("riskstream_step_errors_total", decode), Some(1.0));
    let commits = of("riskstream_commit_duration_seconds_count", "pipeline=\"spending\"");
    let infinite =
        of("riskstream_commit_duration_seconds_bucket", "pipeline=\"spending\",le=\"+Inf\"");
    assert!(commits >= Some(1.0) && commits == infinite, "{text}");
    for (class, count) in [("00", 1.0), ("42", 1.0)] {
        let labels = format!("port=\"postgres\",sqlstate_class=\"{class}\"");
        assert_eq!(of("riskstream_query_statements_total", &labels), Some(count), "{text}");
    }
    assert_eq!(sample(&text, "riskstream_query_rows_total"), Some(3.0), "{text}");

    if installed("promtool") {
        let mut check = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let said = check.wait_with_output().unwrap();
        let texts = [said.stdout, said.stderr].concat();
        let texts = String::from_utf8_lossy(&texts);
        assert!(said.status.success() && texts.trim().is_empty(), "{texts}");
    }
}

#[test]
fn status_shows_a_running_folder_with_its_last_hour() {
    let folder = folder("", "");
    let service = Service::start(folder.path(), &[]);
    scraped(&service);
    let status = eventually("a sample", || {
        let status = riskstream(folder.path(), &["status", "--format", "json"]).json();
        let samples = status["pipelines"][0]["last_hour"]["samples"].as_array().unwrap();
        let rated = samples.iter().any(|s| s["rows_per_second"].as_f64().unwrap() > 0.0);
        if rated { Ok(status) } else { Err(status.to_string()) }
    });
    let spending = &status["pipelines"][0];
    assert_eq!(spending["running"], true);
    assert_eq!(spending["process"], service.id());
    let text = riskstream(folder.path(), &["status"]).ok();
    let chart = text.lines().find(|line| line.trim_start().starts_with("rows/s")).unwrap();
    assert!(chart.contains('█') && chart.contains("at most"), "{text}");
    assert!(text.lines().any(|line| line.trim_start().starts_with("lag")), "{text}");
}

/// A collector that writes down what it is sent. The first request is answered by 503.
fn collector() -> (SocketAddr, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut refused = false;
        for stream in listener.incoming() {
            let Some((head, body)) = request(stream.unwrap()) else { continue };
            let (mut stream, body) = body;
            assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
            assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
            let answer = if std::mem::replace(&mut refused, true) {
                if tell.send(serde_json::from_slice(&body).unwrap()).is_err() {
                    return;
                }
                "200 OK"
            } else {
                "503 Service Unavailable"
            };
            write!(
                stream,
                "HTTP/1.1 {answer}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
                 Connection: close\r\n\r\n{{}}"
            )
            .unwrap();
        }
    });
    (address, told)
}

/// The head and the body of a request, and where the answer goes.
#[allow(clippy::type_complexity, reason = "a test's own")]
fn request(mut stream: TcpStream) -> Option<(String, (TcpStream, Vec<u8>))> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length: usize = head
                .lines()
                .find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length")
                        .then(|| value.trim().parse().ok())?
                })
                .unwrap_or(0);
            if bytes.len() >= head.len() + 4 + length {
                let body = bytes[head.len() + 4..].to_vec();
                return Some((head.to_owned(), (stream, body)));
            }
        }
        match stream.read(&mut chunk).unwrap() {
            0 => return None,
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

#[test]
fn epochs_and_deliveries_are_sent_as_spans() {
    let folder = folder("", "");
    let here = folder.path();
    let (address, told) = collector();
    let set = format!("tracing.otlp=http://{address}");
    let mut service = Service::start(here, &["--set", &set]);
    scraped(&service);
    service.terminate();
    assert_eq!(service.ends().code(), Some(0));
    let mut spans = Vec::new();
    while let Ok(body) = told.recv_timeout(Duration::from_millis(500)) {
        let resource = &body["resourceSpans"][0];
        let service_name = &resource["resource"]["attributes"][0];
        assert_eq!(service_name["key"], "service.name");
        assert_eq!(service_name["value"]["stringValue"], "riskstream");
        spans.extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().clone());
    }
    let named =
        |name: &str| -> Vec<&Value> { spans.iter().filter(|span| span["name"] == name).collect() };
    let attribute = |span: &Value, key: &str| -> String {
        let all = span["attributes"].as_array().unwrap();
        let value = &all.iter().find(|a| a["key"] == key).unwrap_or(&Value::Null)["value"];
        let text = value["intValue"].as_str().or(value["stringValue"].as_str());
        text.unwrap_or_default().to_owned()
    };
    let (epochs, commits) = (named("epoch"), named("commit"));
    assert!(!epochs.is_empty() && epochs.len() == commits.len(), "{spans:#?}");
    let rows: u64 =
        epochs.iter().map(|e| attribute(e, "riskstream.rows").parse::<u64>().unwrap()).sum();
    assert_eq!(rows, 2);
    let time = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    for span in &spans {
        let hex = |key: &str, digits: usize| {
            let id = span[key].as_str().unwrap();
            assert!(id.len() == digits && id.bytes().all(|b| b.is_ascii_hexdigit()), "{span}");
        };
        hex("traceId", 32);
        hex("spanId", 16);
        assert!(time(span, "startTimeUnixNano") <= time(span, "endTimeUnixNano"), "{span}");
        assert!(time(span, "endTimeUnixNano") as f64 / 1e9 <= now(), "{span}");
        assert_eq!(attribute(span, "riskstream.pipeline"), "spending");
    }
    let parent = |span: &Value| {
        epochs
            .iter()
            .find(|e| e["spanId"] == span["parentSpanId"] && e["traceId"] == span["traceId"])
            .unwrap_or_else(|| panic!("{span} has no parent"))
            .to_owned()
            .clone()
    };
    for commit in &commits {
        let epoch = parent(commit);
        assert_eq!(attribute(commit, "riskstream.epoch"), attribute(&epoch, "riskstream.epoch"));
        assert!(time(commit, "startTimeUnixNano") >= time(&epoch, "startTimeUnixNano"));
    }
    let deliveries = named("deliver spending");
    assert!(!deliveries.is_empty(), "{spans:#?}");
    deliveries.iter().for_each(|delivery| drop(parent(delivery)));
}

#[test]
fn a_collector_that_is_away_holds_up_nobody_and_is_told_of() {
    let folder = folder("", "");
    // Nobody listens on a port that was just given back.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let set = format!("tracing.otlp=http://{address}/v1/traces");
    let mut service = Service::start(folder.path(), &["--set", &set]);
    scraped(&service);
    let began = Instant::now();
    service.terminate();
    assert_eq!(service.ends().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    service.says("spans are lost");
}

#[test]
fn lines_of_text_say_when_and_how_important() {
    let folder = folder("", "");
    let log = folder.path().join("log");
    let mut child = Command::new(env!("CARGO_BIN_EXE_riskstream"))
        .args(["run", "--set", "sources.payments.follow=false", "--log-level", "info"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    let text = fs::read_to_string(&log).unwrap();
    let line = text.lines().find(|line| line.contains("pipeline spending: done")).expect(&text);
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{line}");
    assert!(rest.trim_start().starts_with("INFO "), "{line}");
}

#[test]
fn an_address_that_is_taken_is_an_error_before_anything_starts() {
    let folder = folder("", "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let set = format!("metrics.listen={}", taken.local_addr().unwrap());
    let said = riskstream(folder.path(), &["run", "--set", &set]).refused(1);
    assert!(said.contains("can't listen on"), "{said}");
    assert!(!folder.path().join("data/store/spending").exists());
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success())
}

/// Every metric that a text names.
fn metrics_of(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c: char| !is_name(c))
        .filter(|word| word.starts_with("riskstream_") || word.starts_with("process_"))
        .map(|word| {
            let ends = ["_bucket", "_sum", "_count"];
            let base = ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
            base.to_owned()
        })
        .collect()
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_that_there_are() {
    let known = |text: &str| {
        let asked = metrics_of(text);
        assert!(!asked.is_empty());
        for name in asked {
            assert!(catalog::ALL.iter().any(|metric| metric.name == name), "{name}");
        }
    };
    let rules = project("packaging/alerts.yml");
    known(&fs::read_to_string(&rules).unwrap());
    let dashboard = fs::read(project("packaging/grafana/riskstream.json")).unwrap();
    let dashboard: Value = serde_json::from_slice(&dashboard).unwrap();
    let mut expressions = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            known(expression);
            expressions.push(
                expression
                    .replace("$__rate_interval", "1m")
                    .replace("$instance", ".*")
                    .replace("$pipeline", ".*"),
            );
        }
    }
    assert!(expressions.len() >= 10, "{expressions:?}");
    if installed("promtool") {
        let checked = |args: &[&str]| {
            let said = Command::new("promtool")
                .args(args)
                .current_dir(project("packaging"))
                .output()
                .unwrap();
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        };
        checked(&["check", "rules", "alerts.yml"]);
        checked(&["test", "rules", "alerts.test.yml"]);
        // The expressions of the dashboard, as rules: JSON is YAML.
        let rule = |(number, expr): (usize, &String)| {
            let record = format!("dashboard:{number}");
            serde_json::json!({ "record": record, "expr": expr })
        };
        let rules: Vec<Value> = expressions.iter().enumerate().map(rule).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dashboard.yml");
        let group = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
        fs::write(&path, group.to_string()).unwrap();
        checked(&["check", "rules", path.to_str().unwrap()]);
    }
}

#[test]
fn systemd_takes_the_unit() {
    if !installed("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(project("packaging/systemd/riskstream.service")).unwrap();
    // What it starts must be there.
    let unit = unit.replace("/usr/bin/riskstream", "/bin/true");
    let path = folder.path().join("riskstream.service");
    fs::write(&path, unit).unwrap();
    let said = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
    let texts = String::from_utf8_lossy(&said.stderr);
    // Other units of the machine may have their faults.
    let ours: Vec<&str> = texts.lines().filter(|line| line.contains("riskstream")).collect();
    assert!(ours.is_empty(), "{texts}");
}

/// A configuration with these lines in front, and these in its one pipeline.
fn configured(top: &str, of_pipeline: &str) -> Result<config::Config, config::Problems> {
    let text = format!(
        "{top}\n[sources.payments]\nkind = \"generator\"\n[pipelines.p]\nfrom = \"payments\"\n\
         {of_pipeline}\nto = [{{ id = \"all\", kind = \"console\" }}]\n"
    );
    config::parse("service.toml", &text, &[])
}

#[test]
fn wrong_settings_are_refused_with_what_would_be_right() {
    let restart = "on_failure = \"restart\"\n";
    for (top, of_pipeline, message, help) in [
        ("[riskstream]\nlog = { format = \"xml\" }", "", "xml", "json"),
        ("[riskstream]\nlog = { level = \"loud\" }", "", "loud", "info"),
        ("[riskstream]\nlog = { fromat = \"json\" }", "", "has no key `fromat`", "format"),
        ("[metrics]\nlisten = \"localhost\"", "", "is no address", "127.0.0.1:9464"),
        ("[metrics]\nlisten = \"0.0.0.0:9464\"", "", "other machines can reach", "allow_remote"),
        ("[metrics]\nlisten = \"[::]:9464\"", "", "other machines can reach", "allow_remote"),
        ("[metrics]\nallow_remote = true", "", "has no `listen`", "listen = "),
        ("[tracing]\notlp = \"collector:4317\"", "", "is not an HTTP URL", "http://127.0.0.1:4318"),
        ("[tracing]\notlp = \"http:///v1/traces\"", "", "names no host", "http://127.0.0.1:4318"),
        ("", "on_failure = \"retry\"", "retry", "restart"),
        ("", "restart = { min = \"5s\" }", "that does not", "on_failure = \"restart\""),
        ("", &format!("{restart}restart = {{ min = \"0s\" }}"), "`min` of `restart` is zero", "1s"),
        ("", &format!("{restart}restart = {{ max = \"0s\" }}"), "`max` of `restart` is zero", "1m"),
        (
            "",
            &format!("{restart}restart = {{ min = \"5s\", max = \"1s\" }}"),
            "`min` of `restart` is longer than its `max`",
            "lower `min`",
        ),
    ] {
        let problems = configured(top, of_pipeline).expect_err(top);
        let [problem] = problems.as_slice() else { panic!("{top}{of_pipeline}: {problems}") };
        let says = problem.message.contains(message);
        let helps = problem.help.as_ref().is_some_and(|said| said.contains(help));
        assert!(says && helps, "{problem:#?}");
    }
}

#[test]
fn settings_are_read_with_their_defaults() {
    let spec = configured("", "").unwrap().spec;
    assert!(spec.metrics.is_none() && spec.tracing.is_none());
    assert_eq!(spec.riskstream.log, Log::default());
    assert_eq!(spec.pipelines[0].on_failure, OnFailure::Stop);

    let top = "[riskstream]\nlog = { format = \"json\", level = \"warn\" }\n\
               [metrics]\nlisten = \"0.0.0.0:9464\"\nallow_remote = true\n\
               [tracing]\notlp = \"http://collector:4318/\"";
    let of_pipeline = "on_failure = \"restart\"\nrestart = { max = \"500ms\" }";
    let spec = configured(top, of_pipeline).unwrap().spec;
    let log = Log { format: Some(LogFormat::Json), level: Some(LogLevel::Warn) };
    assert_eq!(spec.riskstream.log, log);
    assert_eq!(spec.metrics.unwrap().listen, "0.0.0.0:9464".parse().unwrap());
    assert_eq!(spec.tracing.unwrap().otlp.value, "http://collector:4318/v1/traces");
    let half = Duration::from_millis(500);
    let restart = Restart { min: half, max: half, healthy_after: Duration::from_secs(600) };
    assert_eq!(spec.pipelines[0].on_failure, OnFailure::Restart(restart));

    let path = "[tracing]\notlp = \"https://collector/otlp/v1/traces\"";
    let spec = configured(path, "").unwrap().spec;
    assert_eq!(spec.tracing.unwrap().otlp.value, "https://collector/otlp/v1/traces");
}
