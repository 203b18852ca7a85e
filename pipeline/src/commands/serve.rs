//! `riskstream serve`: the ports of `[query]` over a data folder, without running its pipelines.

use std::io::Write;
use std::sync::mpsc::channel;

use super::{CommandError, load, refuse};
use crate::cli::{ConfigArgs, ServeArgs};
use crate::config::Problem;
use crate::config::spec::{LogFormat, LogLevel};
use crate::service::{Ports, logs};

/// Answers until the user stops it.
///
/// # Errors
/// The configuration names no port; or it can't listen there.
pub fn serve(args: &ServeArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&ConfigArgs::from(&args.config))?;
    let said = config.spec.riskstream.log;
    logs::begin(said.format.unwrap_or(LogFormat::Text), said.level.unwrap_or(LogLevel::Info));
    let Some(ports) = Ports::begin(&config).map_err(super::failed)? else {
        let problem = Problem::new(config.spec.riskstream.name.span, "no port is named")
            .help("add [query] with postgres = \"127.0.0.1:5433\"");
        return Err(refuse(&config, vec![problem]));
    };
    let (stop, stopped) = channel::<()>();
    // If an embedding program has set a handler, that one decides.
    let _set = ctrlc::set_handler(move || {
        let _ends_already = stop.send(());
    });
    writeln!(out, "{}", ports.said())?;
    out.flush()?;
    // Without a handler the program is ended from outside.
    let _asked = stopped.recv();
    ports.end();
    Ok(())
}
