//! Whether the table is still the one that is read: asked now and then over a connection of its
//! own, since the stream's takes no SQL, and says nothing of a table that was dropped, or taken out
//! of the publication.

use crate::postgres::catalog::published;
use crate::postgres::endpoint::Endpoint;
use crate::postgres::place::Published;
use crate::postgres::session::Session;
use std::time::Duration;
use tokio::time::timeout;

/// So long the catalog may take; the stream waits meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The connection, made when it is needed first.
#[derive(Default)]
pub(crate) struct Watch {
    session: Option<Session>,
}

impl Watch {
    /// The table of this name and how it is published, none within if it is not there or not
    /// published; none if the server can't be asked now, of which the stream will hear too.
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
