//! The record of statements that the core never sees: what the port refuses or finds wrong, and
//! what sets something.

use std::sync::Arc;

use super::connection::Connection;
use super::error::{Halt, Step};
use super::portal::{Named, State};
use super::sql::Action;
use super::wire::Target;
use crate::service::SqlState;

/// A statement that is about to be worked at.
#[derive(Debug)]
pub(super) struct Before {
    text: Arc<str>,
    /// How many statements had been recorded.
    recorded: u64,
    /// Whether it sets something by that.
    sets: bool,
}

impl Action {
    /// Whether it changes settings of the connection.
    fn sets(&self) -> bool {
        matches!(self, Self::Set { .. } | Self::Reset(_) | Self::DiscardAll)
    }

    /// Whether it goes on with a statement that is recorded already.
    fn goes_on(&self) -> bool {
        matches!(self, Self::Fetch { .. } | Self::MoveTo { .. } | Self::Close(_))
    }
}

impl Connection {
    /// A text that is to be read.
    pub(super) fn before(&self, text: &str) -> Before {
        Before { text: text.into(), recorded: self.session.recorded(), sets: false }
    }

    /// A statement of a text that is to be run.
    pub(super) fn before_run(&self, text: &str, action: &Action) -> Option<Before> {
        (!action.goes_on()).then(|| Before { sets: action.sets(), ..self.before(text) })
    }

    /// A prepared statement of which something is asked; none where it is not there.
    pub(super) fn before_bound(&self, name: &str) -> Option<Before> {
        self.statements.get(name).and_then(|named| self.before_named(named))
    }

    /// What is to be described, which sets nothing; none where it is not there.
    pub(super) fn before_described(&self, target: &Target) -> Option<Before> {
        match target {
            Target::Statement(name) => self.before_bound(name),
            Target::Portal(name) => {
                self.before_portal(name).map(|before| Before { sets: false, ..before })
            }
        }
    }

    /// A portal that is to be run; none where it is not there, or runs already.
    pub(super) fn before_portal(&self, name: &str) -> Option<Before> {
        let portal = self.portals.get(name).filter(|p| matches!(p.state, State::Ready))?;
        let before = self.before_named(&portal.named)?;
        Some(Before { sets: portal.named.action.sets(), ..before })
    }

    fn before_named(&self, named: &Arc<Named>) -> Option<Before> {
        let text = Arc::clone(&named.text);
        let recorded = self.session.recorded();
        (!named.action.goes_on()).then_some(Before { text, recorded, sets: false })
    }

    /// Records a statement that has failed, or has set something, unless the core does that.
    pub(super) async fn noted<T>(&mut self, before: Option<Before>, step: Step<T>) -> Step<T> {
        let Some(Before { text, recorded, sets }) = before else { return step };
        let outcome = match &step {
            Ok(_) if sets => SqlState::SUCCESS,
            Err(Halt::Problem(problem)) if self.session.recorded() == recorded => {
                SqlState(problem.code)
            }
            Ok(_) | Err(_) => return step,
        };
        self.session.ended(&text, outcome).await?;
        step
    }
}
