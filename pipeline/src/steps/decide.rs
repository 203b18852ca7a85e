//! `decide`: adds `decision` and `reasons`.

use std::sync::Arc;

use arrow::datatypes::DataType;
use riskstream_operators::{DecideOperator, Decision};

use super::chain::Chain;
use super::columns::Flow;
use super::kind::{Explained, Kind, StepKind};
use super::lineage::{Around, Lineage};
use crate::config::defaults;
use crate::config::document::Entry;
use crate::config::problem::Problem;
use crate::config::reader::{self, Table};
use crate::config::span::Spanned;
use crate::config::suggest;

/// `decide = { score, review, decline, reasons }`.
pub(crate) static KIND: Kind = Kind { key: "decide", others: &[], read };

/// `decide = { score, review, decline, reasons }`: approve below `review`, decline from `decline`,
/// review between.
#[derive(Debug)]
struct Decide {
    /// The column of a `score` step before this one.
    score: Spanned<String>,
    /// Scores from here on are reviewed. Without `review` and `decline`: from the model's own
    /// threshold.
    review: Option<f64>,
    /// Scores from here on are declined; `None`: none is.
    decline: Option<f64>,
    /// How many features are named as reasons; 0: no reasons.
    reasons: usize,
}

/// `decide = { score, review, decline, reasons }`.
fn read(
    table: &mut Table<'_>,
    _entry: &Entry,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn StepKind>> {
    let mut decide = table.table("decide", problems)?;
    decide.what = "`decide`".into();
    let score = decide
        .required("score", "score = \"COLUMN\", a column of a `score` step", problems)
        .and_then(|score| reader::string(&score.node, "`score`", problems));
    let review = decide.number("review", 0.0, 1.0, problems);
    let decline = decide.number("decline", 0.0, 1.0, problems);
    if let (Some(review), Some(decline)) = (review, decline)
        && review.value > decline.value
    {
        problems.push(
            Problem::new(
                review.span,
                format!("`review` ({}) is above `decline` ({})", review.value, decline.value),
            )
            .related(decline.span, "declined from here")
            .help("scores from `review` on are reviewed, from `decline` on declined"),
        );
    }
    let reasons = decide
        .integer("reasons", 0, 64, problems)
        .map_or(defaults::REASONS, |count| count.value as usize);
    decide.finish(problems);
    Some(Arc::new(Decide {
        score: score?,
        review: review.map(|value| value.value),
        decline: decline.map(|value| value.value),
        reasons,
    }))
}

impl StepKind for Decide {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn has_state(&self) -> bool {
        false
    }

    fn columns(&self, _step: &Spanned<String>, flow: &mut Flow, problems: &mut Vec<Problem>) {
        if !flow.scores.contains(&self.score.value) {
            let problem = Problem::new(
                self.score.span,
                format!("no `score` step before this one makes the column `{}`", self.score),
            );
            let help = suggest::help(
                &self.score,
                flow.scores.iter().map(String::as_str),
                "the scores are",
            );
            problems.push(problem.help(help.unwrap_or_else(|| {
                "put a step with score = { COLUMN = \"MODEL\" } before it".into()
            })));
        }
        flow.add(defaults::DECISION_COLUMN, self.score.span, Some(DataType::Utf8), problems);
        flow.add(defaults::REASONS_COLUMN, self.score.span, None, problems);
    }

    fn plan(&self, step: &Spanned<String>, chain: &mut Chain<'_>) -> Result<(), Problem> {
        let decision = Decision {
            score: self.score.value.clone(),
            review: self.review,
            decline: self.decline,
            reasons: self.reasons,
        };
        let made = chain.models.iter().find(|(column, _)| *column == self.score.value);
        let models = made.map(|(_, cell)| Arc::clone(cell));
        let (id, schema) = (step.value.clone(), Arc::clone(&chain.schema));
        chain.add_stateless(&step.value, (&[], step.span), move || {
            DecideOperator::new(&id, decision.clone(), models.clone(), Arc::clone(&schema))
        })
    }

    fn lineage(&self, around: &Around<'_>, lineage: &mut Lineage) {
        let says = format!(
            "{} reviewed from {:?}, declined from {:?}, {} reasons",
            self.score, self.review, self.decline, self.reasons
        );
        let read = vec![self.score.value.clone()];
        lineage.added(around.input, around.output, |_| says.clone(), &read);
    }

    fn explain(&self) -> Explained {
        let score = &self.score;
        let detail = match (self.review, self.decline) {
            (Some(review), Some(decline)) => {
                format!("{score}: review from {review}, decline from {decline}")
            }
            (Some(review), None) => format!("{score}: review from {review}"),
            (None, Some(decline)) => format!("{score}: decline from {decline}"),
            (None, None) => format!("{score}: review from the model's threshold"),
        };
        Explained {
            details: vec![detail],
            columns: vec![
                defaults::DECISION_COLUMN.to_owned(),
                defaults::REASONS_COLUMN.to_owned(),
            ],
        }
    }

    fn decides(&self) -> bool {
        true
    }
}
