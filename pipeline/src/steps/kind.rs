//! What a kind of step is to the program.

use std::fmt;
use std::sync::Arc;

use super::chain::Chain;
use super::columns::Flow;
use super::lineage::{Around, Lineage};
use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::Table;
use crate::config::span::Spanned;

/// A kind of step, as the list of all kinds names it.
#[derive(Debug)]
pub(crate) struct Kind {
    /// The key that makes a step one of this kind.
    pub(crate) key: &'static str,
    /// The other keys that such a step may have.
    pub(crate) others: &'static [&'static str],
    /// Reads a step whose `key` is the entry; whatever is wrong is noted.
    pub(crate) read: Read,
}

/// Reads one step.
pub(crate) type Read = fn(&mut Table<'_>, &Entry, &mut Vec<Problem>) -> Option<Arc<dyn StepKind>>;

/// What a step's columns and details are, for people.
#[derive(Debug, Default)]
pub(crate) struct Explained {
    /// What it does, a line each.
    pub(crate) details: Vec<String>,
    /// The columns that it adds.
    pub(crate) columns: Vec<String>,
}

/// What one step of the file says, and all that the program makes of it. `step` is its id
/// throughout.
pub(crate) trait StepKind: fmt::Debug + Send + Sync {
    /// Its entry in the list of all kinds.
    fn kind(&self) -> &'static Kind;

    /// Whether the step keeps something of the rows that it has seen: a row that it sees again
    /// counts again.
    fn has_state(&self) -> bool;

    /// The columns by which the step's rows belong together; none where it looks at each row for
    /// itself.
    fn by(&self) -> &[Spanned<String>] {
        &[]
    }

    /// The columns by which rows are exchanged between workers; `None` where rows stay.
    fn exchange(&self) -> Option<Vec<&str>> {
        self.has_state().then(|| self.by().iter().map(|key| key.value.as_str()).collect())
    }

    /// Checks the columns that the step names, and changes the flow to the columns after the step.
    fn columns(&self, step: &Spanned<String>, flow: &mut Flow, problems: &mut Vec<Problem>);

    /// Adds the step's operator to those before it.
    ///
    /// # Errors
    /// When the step does not fit its input, with its place in the file.
    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem>;

    /// Notes how the step's rows and columns are made, for the meaning of the state of steps after
    /// it.
    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage);

    /// What `explain` says.
    fn explain(&self) -> Explained;

    /// The columns that are scores by models.
    fn scores(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether the step says what is to become of a row, which alerts are made of.
    fn decides(&self) -> bool {
        false
    }
}
