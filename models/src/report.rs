//! The table that `riskstream train` prints.

use std::fmt::Write;

use crate::model::Metrics;
use crate::train::TrainOutcome;

/// The models side by side with a random baseline (of the first outcome's test rows), and what they
/// were trained on. Ends with a line feed.
pub fn report_table(outcomes: &[TrainOutcome]) -> String {
    let Some(first) = outcomes.first() else {
        return "no model was trained\n".to_owned();
    };
    let mut text = String::new();
    let card_precision = format!("CP@{}", first.model.metrics.card_precision_k);
    // Writing to a string can't fail.
    let _ = writeln!(
        text,
        "{:<22}{:>8}{:>8}{:>8}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "model",
        "AUC ROC",
        "AP",
        card_precision,
        "F1",
        "review",
        "decline",
        "rows",
        "frauds",
        "fit"
    );
    for outcome in outcomes {
        let model = &outcome.model;
        let decline = model
            .thresholds
            .decline
            .map_or_else(|| "never".to_owned(), |decline| format!("{decline:.4}"));
        let _ = writeln!(
            text,
            "{}{:>9.4}{:>9}{:>9}{:>9}{:>7.1} s",
            measures(outcome.algorithm, &model.metrics),
            model.thresholds.review,
            decline,
            model.trained_on.train_rows,
            model.trained_on.train_frauds,
            outcome.fit_time.as_secs_f64(),
        );
    }
    let _ = writeln!(text, "{}", measures("random scores", &first.baseline));
    let trained_on = &first.model.trained_on;
    let _ = writeln!(
        text,
        "\n\
         trained on the days from {} to before {} ({} rows, {} frauds); tested on those from {} to \
         before {} ({} rows, {} frauds; {} rows of cards known to be compromised left out){}",
        trained_on.train_from,
        trained_on.train_to,
        trained_on.train_rows,
        trained_on.train_frauds,
        trained_on.test_from,
        trained_on.test_to,
        trained_on.test_rows,
        trained_on.test_frauds,
        first.blocked_rows,
        if first.unusable_rows > 0 {
            format!("; {} rows without event time, key or label not used", first.unusable_rows)
        } else {
            String::new()
        },
    );
    text
}

fn measures(name: &str, metrics: &Metrics) -> String {
    format!(
        "{name:<22}{:>8.4}{:>8.4}{:>8.4}{:>8.4}",
        metrics.auc_roc, metrics.average_precision, metrics.card_precision, metrics.f1
    )
}
