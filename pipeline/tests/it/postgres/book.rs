//! A PostgreSQL table that is checked by the rows that its changes make.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Server;
use crate::program::Said;
use crate::running::Running;

/// A PostgreSQL table, and a pipeline that makes it again from its changes.
pub(super) struct Book<'a> {
    server: &'a Server,
    pub(super) folder: TempDir,
}

impl<'a> Book<'a> {
    /// `setup` makes the table `name` with the columns `id` and `bal` and whatever else; `more`:
    /// lines of the source.
    pub(super) fn new(server: &'a Server, name: &str, setup: &str, more: &str) -> Self {
        server.psql(setup);
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            r#"
[riskstream]
name  = "acme"
epoch = {{ min = "1ms", max = "50ms" }}

[sources.s]
kind         = "postgres"
url          = "postgresql://riskstream@localhost:{}/loans"
password_env = "LOANS_PASSWORD"
table        = "public.{name}"
slot         = "book_{name}"
heartbeat    = "1s"
{more}

[pipelines.p]
from  = "s"
order = "arrival"

[[pipelines.p.steps]]
id        = "now"
changelog = {{ key = "id", operation = "_op" }}

[[pipelines.p.to]]
id           = "t"
kind         = "delta"
table        = "t"
partition_by = []
"#,
            server.port
        );
        std::fs::write(folder.path().join("pipelines.toml"), config).expect("written");
        Self { server, folder }
    }

    pub(super) fn run(&self) -> Said {
        self.server.riskstream(self.folder.path(), &["run", "--set", "sources.s.stop=end"])
    }

    /// `id:bal` of every row, as the changes make it.
    pub(super) fn rows(&self) -> String {
        let sql = "select string_agg(concat(id, ':', bal), ' ' order by id, bal) as rows from \
                   (select id, bal, sum(_diff) as n from t group by id, bal \
                   having sum(_diff) <> 0)";
        let said = self.server.riskstream(self.folder.path(), &["query", sql, "--format", "json"]);
        let rows = said.rows();
        rows[0]["rows"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(super) fn wait_for(&self, run: &mut Running, rows: &str) {
        let started = Instant::now();
        while self.rows() != rows {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{} instead of {rows}",
                self.rows()
            );
            assert!(run.0.try_wait().expect("it can be asked").is_none(), "the run has ended");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
