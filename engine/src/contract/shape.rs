//! What a step's saved state means, so that a run never goes on with the state of another step.
//!
//! A shape is data, not a fingerprint: a difference is told in words. The engine writes the shapes
//! of all steps into the store and compares what was saved with what the configuration says now,
//! before anything is restored ([`decide_evolution`](crate::protocol::decide_evolution)).

use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// The shapes of a pipeline's steps with state, by the step's id.
pub type Shapes = BTreeMap<String, Shape>;

/// Something that the meaning of state depends on: its name, and what it is, both as a message
/// shows them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    /// Such as `by`.
    pub name: String,
    /// Such as `card_id Int64`.
    pub value: String,
}

impl Fact {
    /// A fact.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// One of several independent parts of a step, such as a feature or a window: it can be moved or
/// removed without changing the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is, such as `feature`.
    pub role: String,
    /// Unique among the step's parts of this role.
    pub name: String,
    /// What it means, such as `sum(amount)`.
    pub value: String,
    /// The names of the pieces of state that the part is computed from. A new part whose pieces are
    /// all in the saved state is computed from them, whichever part they were kept for.
    pub pieces: Vec<String>,
    /// What becomes of it where the state has no such part.
    pub start: Start,
}

/// What becomes of a part that the saved state does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// It begins with what the state holds, and its rows say since when they are complete.
    Later,
    /// It can't begin later: its values would be wrong, and nothing would say so.
    Never,
}

/// What a step's saved state means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The kind of step, such as `features`.
    pub kind: String,
    /// What must be as it was, in the order in which messages show it.
    pub facts: Vec<Fact>,
    /// What may come and go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// How the columns that the step reads are computed, where their names alone do not say so. A
    /// column that both the saved and the present shape name must be computed in the same way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Fact>,
}

/// What feeds a step: which rows come, and how their columns are made, back to the source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feed {
    /// What decides which rows come, such as filters.
    pub rows: Vec<Fact>,
    /// How the columns that those facts read are computed.
    pub rows_read: Vec<Fact>,
    /// By the column's name: how the column is computed, then how its inputs are computed. A column
    /// without an entry comes from the source unchanged.
    pub columns: BTreeMap<String, Vec<Fact>>,
}

impl Feed {
    /// How a column of `input` is made.
    #[must_use]
    pub fn column(&self, input: &Schema, index: usize) -> Vec<Fact> {
        let field = input.field(index);
        match self.columns.get(field.name()) {
            Some(facts) => facts.clone(),
            None => {
                vec![Fact::new(format!("column `{}`", field.name()), field.data_type().to_string())]
            }
        }
    }

    /// The name of a piece of state that is computed from a column: `of`, the column's name and
    /// type, and a fingerprint of how the column is computed. A piece with another name is computed
    /// differently.
    #[must_use]
    pub fn piece(&self, of: &str, input: &Schema, index: usize) -> String {
        let field = input.field(index);
        let mut hash = Xxh3::new();
        for fact in self.column(input, index) {
            for text in [&fact.name, &fact.value] {
                hash.update(&(text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
        }
        format!("{of} {} {} {:016x}", field.name(), field.data_type(), hash.digest())
    }
}

impl Shape {
    /// A shape of which nothing is known but its kind.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        Self { kind: kind.to_owned(), ..Self::default() }
    }

    /// With one more fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<String>) -> Self {
        self.facts.push(Fact::new(name, value));
        self
    }

    /// With what feeds it: which rows, and how the columns are made that it reads (indices into its
    /// input).
    #[must_use]
    pub fn fed_by(
        mut self,
        feed: &Feed,
        input: &Schema,
        reads: impl IntoIterator<Item = usize>,
    ) -> Self {
        self.facts.extend(feed.rows.iter().cloned());
        let read = reads.into_iter().flat_map(|index| feed.column(input, index));
        for fact in feed.rows_read.iter().cloned().chain(read) {
            if !self.columns.contains(&fact) {
                self.columns.push(fact);
            }
        }
        self
    }

    /// With one more part.
    #[must_use]
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }
}
