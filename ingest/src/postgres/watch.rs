//! Watches whether the table is still the one that is being read. The stream's own connection takes
//! no SQL while streaming, and the stream does not tell that a table was dropped or taken out of
//! the publication. So the catalog is asked regularly over a connection of its own.

use crate::postgres::catalog::published;
use crate::postgres::endpoint::Endpoint;
use crate::postgres::place::Published;
use crate::postgres::session::Session;
use std::time::Duration;
use tokio::time::timeout;

/// How long the catalog's answer may take; the stream waits meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The connection, made when it is needed first.
#[derive(Default)]
pub(crate) struct Watch {
    session: Option<Session>,
}

impl Watch {
    /// The table of this name and how it is published. The inner option is none if the table does
    /// not exist or is not published. The outer one is none if the server can't be asked now, which
    /// the stream will notice too.
    pub(crate) async fn look(
        &mut self,
        endpoint: &Endpoint,
        application: &str,
        table: &str,
        publication: &str,
    ) -> Option<Option<Published>> {
        let asking = async {
            let mut session = match self.session.take() {
                Some(session) => session,
                None => Session::open(endpoint, application).await.ok()?,
            };
            let found = published(&mut session, table, publication).await.ok()?;
            Some((session, found))
        };
        let (session, found) = timeout(ANSWER_WITHIN, asking).await.ok()??;
        self.session = Some(session);
        Some(found)
    }
}
