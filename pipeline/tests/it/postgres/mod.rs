//! The PostgreSQL source against the real server: whatever happens to the table, to the server and
//! to us, the changes folded by key are the table.

mod anew;
mod book;
mod changes;
mod loans;
mod refused;
#[path = "../../../../ingest/tests/it/postgres/server.rs"]
mod server;
mod sign_on;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::program::Said;

pub(crate) use server::Server;

impl Server {
    /// Runs SQL as the superuser.
    fn admin(&self, sql: &str) {
        self.script(&["admin", "-qtA", "-c", sql]);
    }

    /// Runs a file of SQL, statement by statement.
    pub(crate) fn psql_file(&self, path: &Path) {
        self.script(&["psql", "-q", "-f", path.to_str().expect("UTF-8")]);
    }

    fn psql_in_background(&self, sql: &str) -> Child {
        self.script_command()
            .args(["psql", "-qtA", "-v", "ON_ERROR_STOP=0", "-c", sql])
            .stdout(Stdio::null())
            .spawn()
            .expect("the script starts")
    }

    /// The setting that points a source at this server.
    pub(crate) fn url_of(&self, source: &str) -> String {
        format!("sources.{source}.url=postgresql://riskstream@localhost:{}/loans", self.port)
    }

    fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_riskstream"));
        command.args(args).current_dir(folder).env("LOANS_PASSWORD", "riskstream");
        command
    }

    pub(crate) fn riskstream(&self, folder: &Path, args: &[&str]) -> Said {
        let said = self.command(folder, args).output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program speaks UTF-8");
        Said {
            code: said.status.code().unwrap_or(-1),
            out: text(said.stdout),
            err: text(said.stderr),
        }
    }
}
