//! Which days a model is trained and tested on: as asked, or the last weeks that the rows allow.

use chrono::{Days, NaiveDate};
use riskstream_models::Split;

use crate::commands::CommandError;

/// Days of training and of test when none are named.
const WEEK: u32 = 7;

/// First and last day, both included.
type Range = (NaiveDate, NaiveDate);

/// Settles the days. `days_of_rows` gives the first and last day that have rows; it is asked only
/// if neither window is named.
pub(super) fn split_days(
    train: Option<&str>,
    test: Option<&str>,
    delay: u32,
    days_of_rows: &mut dyn FnMut() -> Result<Range, CommandError>,
) -> Result<Split, CommandError> {
    let train = train.map(|text| range("--train", text)).transpose()?;
    let test = test.map(|text| range("--test", text)).transpose()?;
    let apart = |date: NaiveDate, days: u32| {
        date.checked_sub_days(Days::new(days.into())).unwrap_or(NaiveDate::MIN)
    };
    match (train, test) {
        (Some(train), Some(test)) => {
            let gap = (test.0 - train.1).num_days() - 1;
            if gap != i64::from(delay) {
                let message = format!(
                    "there are {gap} days between --train and --test, but a fraud is known after \
                     {delay}"
                );
                let help = Some(format!(
                    "begin --test on {}, or say --delay {}",
                    train.1 + Days::new(u64::from(delay) + 1),
                    gap.max(0)
                ));
                return Err(CommandError::Usage { message, help });
            }
            Ok(Split {
                train_start: train.0,
                train_days: length(train),
                delay_days: delay,
                test_days: length(test),
            })
        }
        (Some(train), None) => Ok(Split {
            train_start: train.0,
            train_days: length(train),
            delay_days: delay,
            test_days: WEEK,
        }),
        (None, Some(test)) => Ok(Split {
            train_start: apart(test.0, delay + WEEK),
            train_days: WEEK,
            delay_days: delay,
            test_days: length(test),
        }),
        (None, None) => {
            let (first, last) = days_of_rows()?;
            let days = length((first, last)).saturating_sub(delay);
            if days < 2 {
                let message = format!(
                    "the rows are of {first} to {last}: too few days to train, wait {delay} days \
                     for labels, and test"
                );
                return Err(CommandError::Usage {
                    message,
                    help: Some("take more days, or a smaller --delay".into()),
                });
            }
            let test_days = WEEK.min(days / 2);
            let train_days = WEEK.min(days - test_days);
            let train_start = apart(last, test_days + delay + train_days - 1);
            Ok(Split { train_start, train_days, delay_days: delay, test_days })
        }
    }
}

fn length((first, last): Range) -> u32 {
    u32::try_from((last - first).num_days() + 1).unwrap_or(0)
}

fn range(option: &str, text: &str) -> Result<Range, CommandError> {
    let parsed = text
        .split_once("..")
        .and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?)));
    match parsed {
        Some((first, last)) if first <= last => Ok((first, last)),
        Some((first, last)) => {
            let message = format!("{option} {text}: {last} is before {first}");
            Err(CommandError::Usage { message, help: None })
        }
        None => {
            let help =
                Some(format!("write two days, both included: {option} 2018-07-25..2018-07-31"));
            Err(CommandError::Usage { message: format!("{option} {text} is not two dates"), help })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn of(train: Option<&str>, test: Option<&str>, delay: u32) -> Result<Split, CommandError> {
        split_days(train, test, delay, &mut || Ok((date("2018-04-01"), date("2018-04-30"))))
    }

    #[test]
    fn the_handbooks_days_are_taken_as_asked() {
        let split = of(Some("2018-07-25..2018-07-31"), Some("2018-08-08..2018-08-14"), 7).unwrap();
        assert_eq!(
            split,
            Split { train_start: date("2018-07-25"), train_days: 7, delay_days: 7, test_days: 7 }
        );
        assert_eq!(of(None, Some("2018-08-08..2018-08-14"), 7).unwrap(), split);
        assert_eq!(of(Some("2018-07-25..2018-07-31"), None, 7).unwrap(), split);
    }

    #[test]
    fn without_days_the_last_weeks_are_taken() {
        let split = of(None, None, 7).unwrap();
        assert_eq!(
            split,
            Split { train_start: date("2018-04-10"), train_days: 7, delay_days: 7, test_days: 7 }
        );
        assert_eq!(split.date(split.test_end() - 1), date("2018-04-30"));
        let short = of(None, None, 20).unwrap();
        assert_eq!(
            (short.train_start, short.train_days, short.test_days),
            (date("2018-04-01"), 5, 5)
        );
        assert!(of(None, None, 29).unwrap_err().to_string().contains("too few days"));
    }

    #[test]
    fn windows_that_leave_another_gap_than_the_delay_or_are_no_dates_are_refused() {
        let error = of(Some("2018-07-25..2018-07-31"), Some("2018-08-01..2018-08-07"), 7)
            .unwrap_err()
            .to_string();
        assert!(error.contains("2018-08-08"), "{error}");
        for text in ["2018-07-25", "a..b", "2018-07-31..2018-07-25", "2018-13-01..2018-13-02"] {
            assert_eq!(of(Some(text), None, 7).unwrap_err().exit_code(), 2, "{text}");
        }
    }
}
