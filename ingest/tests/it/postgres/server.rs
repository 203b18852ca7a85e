//! A PostgreSQL server of a test's own: Debian's, started by `examples/servers/postgres.sh`;
//! without the package the tests fail and say so. The tests of the whole program have this file
//! too.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Gone with the test.
pub(crate) struct Server {
    folder: TempDir,
    pub(super) port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // The server may run as another user, who must get at its folder.
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .expect("the folder is ours");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a free port")
            .port();
        let server = Self { folder, port };
        server.script(&["start", &port.to_string()]);
        server
    }

    /// Where the server has its files.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// The script, to be told what to do with this server.
    pub(super) fn script_command(&self) -> Command {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(), PathBuf::from);
        let mut command = Command::new(manifest.join("../examples/servers/postgres.sh"));
        command
            .env("POSTGRES_STATE", self.state())
            .env("POSTGRES_FSYNC", "off")
            .stdin(Stdio::null());
        command
    }

    /// Runs the script, which must work; gives what it says.
    pub(super) fn script(&self, args: &[&str]) -> String {
        let said = self.script_command().args(args).output().expect("the script starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            said.status.success(),
            "postgres.sh {args:?}: {}{}",
            text(&said.stdout),
            text(&said.stderr)
        );
        text(&said.stdout)
    }

    /// Runs SQL; gives its rows as text.
    pub(crate) fn psql(&self, sql: &str) -> String {
        self.script(&["psql", "-qtA", "-c", sql])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(e) = self.script_command().arg("stop").output() {
            eprintln!("the server was not stopped: {e}");
        }
    }
}
