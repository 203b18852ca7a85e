//! Whose store this is and where its rows go, as the store remembers it: [`Origin`].
//!
//! What a destination records of its deliveries is recorded under the names of the program, the
//! pipeline and the sink. Under another name, or at another destination, nothing is recorded:
//! everything that the store still holds would go out again, and the history would be in two
//! places. So a run whose configuration says another name than the store is refused, until the name
//! is put back or the change is taken by a command.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A destination that remembers nothing.
const NOWHERE: &str = "a screen";

/// The names under which a pipeline's rows are delivered, and where to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The program's name.
    pub program: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// By the sink's id, where its rows go, such as `table payments_scored`; none for a destination
    /// that remembers nothing, such as a screen.
    pub destinations: BTreeMap<String, Option<String>>,
}

/// A name that is another one than the store remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginChange {
    /// What has the name.
    pub of: Named,
    /// The name that the store remembers.
    pub was: String,
    /// The name that the configuration says.
    pub is: String,
}

/// What has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// The program.
    Program,
    /// The pipeline.
    Pipeline,
    /// The destination of the sink with this id.
    Destination(String),
}

impl Origin {
    /// What `present` says otherwise. A sink that is new, or gone, is no change here: nothing was
    /// ever delivered for the one, and what waits for the other is asked for elsewhere.
    #[must_use]
    pub fn changes(&self, present: &Self) -> Vec<OriginChange> {
        let change = |of, was: &str, is: &str| {
            let (was, is) = (was.to_owned(), is.to_owned());
            (was != is).then_some(OriginChange { of, was, is })
        };
        let names = [
            change(Named::Program, &self.program, &present.program),
            change(Named::Pipeline, &self.pipeline, &present.pipeline),
        ];
        let destinations = self.destinations.iter().filter_map(|(sink, was)| {
            let is = present.destinations.get(sink)?.as_deref().unwrap_or(NOWHERE);
            change(Named::Destination(sink.clone()), was.as_deref()?, is)
        });
        names.into_iter().flatten().chain(destinations).collect()
    }

    /// Whether rows for this sink go somewhere that remembers them.
    #[must_use]
    pub fn remembers(&self, sink: &str) -> bool {
        self.destinations.get(sink).is_some_and(Option::is_some)
    }

    /// Whether what this origin delivered for a sink went under the same names to the same place.
    #[must_use]
    pub fn delivers_as(&self, other: &Self, sink: &str) -> bool {
        let names = |origin: &Self| {
            (
                origin.program.clone(),
                origin.pipeline.clone(),
                origin.destinations.get(sink).cloned(),
            )
        };
        names(self) == names(other)
    }
}

/// A pipeline that has rows in a destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Writer {
    /// Its program.
    pub program: String,
    /// Its name.
    pub pipeline: String,
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}/{}`", self.program, self.pipeline)
    }
}

/// Those among the `writers` of a destination that a configuration does not have. A pipeline that
/// is new and finds some may be an old one under another name, and would put everything there a
/// second time. Several pipelines of one configuration may share a destination.
#[must_use]
pub fn strangers(
    writers: impl IntoIterator<Item = Writer>,
    program: &str,
    pipelines: &[&str],
) -> Vec<Writer> {
    let known = |writer: &Writer| {
        writer.program == program && pipelines.contains(&writer.pipeline.as_str())
    };
    let strangers: BTreeSet<Writer> = writers.into_iter().filter(|writer| !known(writer)).collect();
    strangers.into_iter().collect()
}

impl fmt::Display for OriginChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, was, is } = self;
        match of {
            Named::Program => {
                write!(f, "the program (`riskstream.name`) was `{was}` and is `{is}`")
            }
            Named::Pipeline => write!(f, "the pipeline was `{was}` and is `{is}`"),
            Named::Destination(sink) => write!(f, "the destination `{sink}` was {was} and is {is}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(program: &str, pipeline: &str, destinations: &[(&str, &str)]) -> Origin {
        let destinations = destinations
            .iter()
            .map(|(sink, to)| ((*sink).to_owned(), (!to.is_empty()).then(|| (*to).to_owned())))
            .collect();
        Origin { program: program.into(), pipeline: pipeline.into(), destinations }
    }

    #[test]
    fn each_changed_name_is_told_and_new_or_gone_sinks_are_no_change() {
        let was = origin(
            "acme",
            "cards",
            &[("scored", "table a"), ("gone", "table g"), ("alerts", "topic x")],
        );
        assert_eq!(was.changes(&was), []);
        let is = origin(
            "ACME",
            "payments",
            &[("scored", "table b"), ("new", "table n"), ("alerts", "topic x")],
        );
        let said: Vec<String> = was.changes(&is).iter().map(OriginChange::to_string).collect();
        assert_eq!(
            said,
            [
                "the program (`riskstream.name`) was `acme` and is `ACME`",
                "the pipeline was `cards` and is `payments`",
                "the destination `scored` was table a and is table b",
            ]
        );
    }

    #[test]
    fn only_pipelines_that_the_configuration_does_not_have_are_strangers() {
        let writer = |program: &str, pipeline: &str| Writer {
            program: program.into(),
            pipeline: pipeline.into(),
        };
        let all = [
            writer("acme", "b"),
            writer("acme", "gone"),
            writer("acme", "a"),
            writer("other", "a"),
            writer("acme", "gone"),
        ];
        assert_eq!(
            strangers(all, "acme", &["a", "b"]),
            [writer("acme", "gone"), writer("other", "a")]
        );
    }

    #[test]
    fn what_a_screen_showed_is_nowhere_else() {
        let (screen, table) =
            (origin("a", "p", &[("out", "")]), origin("a", "p", &[("out", "table t")]));
        assert_eq!(screen.changes(&table), []);
        assert_eq!(
            table.changes(&screen)[0].to_string(),
            "the destination `out` was table t and is a screen"
        );
    }

    #[test]
    fn a_sink_delivers_as_before_only_under_all_the_same_names() {
        let was = origin("acme", "cards", &[("scored", "table a"), ("alerts", "topic x")]);
        let is = origin("acme", "cards", &[("scored", "table b"), ("alerts", "topic x")]);
        assert!(was.delivers_as(&is, "alerts") && !was.delivers_as(&is, "scored"));
        assert!(!was.delivers_as(&origin("other", "cards", &[("alerts", "topic x")]), "alerts"));
    }
}
