//! What becomes of a step's saved state when its configuration has changed.
//!
//! A step keeps its state where every value that the step will emit equals what a run of the new
//! configuration over all input would emit, or where the rows themselves say since when it does.
//! Otherwise the change is refused, with each difference in words.

use crate::contract::{Fact, Part, Shape, Shapes, Start};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A change with which state goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What changed, such as ``feature `mean_7d` ``.
    pub what: String,
    /// What becomes of it.
    pub how: Taking,
}

/// What becomes of a changed part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taking {
    /// The part is gone, and so is the state that was kept for it alone.
    Removed,
    /// The part is new, and is computed exactly from state that was kept for other parts.
    Exactly,
    /// The part is new, and its rows say since when they are complete.
    Later,
}

/// Something that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What, such as `by`.
    pub what: String,
    /// What it was when the state was saved; nothing when there was no such thing.
    pub was: Option<String>,
    /// What it is now; nothing when it is gone.
    pub is: Option<String>,
}

/// What becomes of a step's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evolution {
    /// Nothing that the state depends on has changed.
    Same,
    /// The state goes on with these changes.
    TakenWith(Vec<Taken>),
    /// The state does not fit the step, which differs in these ways.
    Refused(Vec<Difference>),
}

/// What becomes of a step, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEvolution {
    /// It was there, and is.
    Kept(Evolution),
    /// It has no state yet: it begins with the rows that come from now on.
    New,
    /// It has state, and is no longer in the pipeline, or no longer keeps state.
    Gone,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.was, &self.is) {
            (Some(was), Some(is)) => write!(f, "{}: was {was}, is {is}", self.what),
            (Some(was), None) => write!(f, "{}: was {was}, is gone", self.what),
            (None, Some(is)) => write!(f, "{}: is {is}, was not there", self.what),
            (None, None) => f.write_str(&self.what),
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.how {
            Taking::Removed => write!(f, "{} is gone, and its state with it", self.what),
            Taking::Exactly => {
                write!(f, "{} is new and complete: the state holds what it is made of", self.what)
            }
            Taking::Later => write!(
                f,
                "{} is new: it is empty where it would need rows from before, and complete from \
                 then on",
                self.what
            ),
        }
    }
}

/// Compares what was saved with what is; both by step id.
#[must_use]
pub fn decide_evolutions(saved: &Shapes, present: &Shapes) -> BTreeMap<String, StepEvolution> {
    let ids: BTreeSet<&String> = saved.keys().chain(present.keys()).collect();
    let step = |id: &String| match (saved.get(id), present.get(id)) {
        (Some(saved), Some(present)) => StepEvolution::Kept(decide_evolution(saved, present)),
        (None, _) => StepEvolution::New,
        (Some(_), None) => StepEvolution::Gone,
    };
    ids.into_iter().map(|id| (id.clone(), step(id))).collect()
}

/// Decides for one step.
#[must_use]
pub fn decide_evolution(saved: &Shape, present: &Shape) -> Evolution {
    if saved.kind != present.kind {
        let difference = Difference {
            what: "the kind of step".into(),
            was: Some(saved.kind.clone()),
            is: Some(present.kind.clone()),
        };
        return Evolution::Refused(vec![difference]);
    }
    let mut differences = differing_facts(&saved.facts, &present.facts);
    let kept: BTreeSet<&String> = saved.parts.iter().flat_map(|part| &part.pieces).collect();
    let mut taken = Vec::new();
    for part in &present.parts {
        match find(&saved.parts, part) {
            Some(before) if before.value == part.value => {}
            Some(before) => differences.push(Difference {
                what: named(part),
                was: Some(before.value.clone()),
                is: Some(part.value.clone()),
            }),
            None if !part.pieces.is_empty()
                && part.pieces.iter().all(|piece| kept.contains(piece)) =>
            {
                taken.push(Taken { what: named(part), how: Taking::Exactly });
            }
            None if part.start == Start::Later => {
                taken.push(Taken { what: named(part), how: Taking::Later })
            }
            None => differences.push(Difference {
                what: named(part),
                was: None,
                is: Some(part.value.clone()),
            }),
        }
    }
    taken.extend(
        saved
            .parts
            .iter()
            .filter(|part| find(&present.parts, part).is_none())
            .map(|part| Taken { what: named(part), how: Taking::Removed }),
    );
    let both = |column: &&Fact| saved.columns.iter().any(|before| before.name == column.name);
    let columns: Vec<Fact> = present.columns.iter().filter(both).cloned().collect();
    let before: Vec<Fact> = saved
        .columns
        .iter()
        .filter(|c| columns.iter().any(|now| now.name == c.name))
        .cloned()
        .collect();
    differences.extend(differing_facts(&before, &columns));
    match (differences.is_empty(), taken.is_empty()) {
        (true, true) => Evolution::Same,
        (true, false) => Evolution::TakenWith(taken),
        (false, _) => Evolution::Refused(differences),
    }
}

fn named(part: &Part) -> String {
    format!("{} `{}`", part.role, part.name)
}

fn find<'a>(parts: &'a [Part], like: &Part) -> Option<&'a Part> {
    parts.iter().find(|part| part.role == like.role && part.name == like.name)
}

/// Facts that are not in both lists with one value, in the order of the present ones.
fn differing_facts(saved: &[Fact], present: &[Fact]) -> Vec<Difference> {
    let value = |facts: &[Fact], name: &str| {
        facts.iter().find(|fact| fact.name == name).map(|fact| fact.value.clone())
    };
    let mut names: Vec<&String> = Vec::new();
    for fact in present.iter().chain(saved) {
        if !names.contains(&&fact.name) {
            names.push(&fact.name);
        }
    }
    let difference = |name: &String| Difference {
        what: name.clone(),
        was: value(saved, name),
        is: value(present, name),
    };
    names.into_iter().map(difference).filter(|d| d.was != d.is).collect()
}

#[cfg(test)]
mod tests;
