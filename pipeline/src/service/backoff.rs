//! How long a pipeline that has failed waits before it starts again. Pure.

use std::time::Duration;

use crate::config::spec::Restart;

/// Doublings after which the longest wait is reached, whatever the first one is.
const DOUBLINGS_MAX: u32 = 32;

/// Failures that came one after the other.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    in_a_row: u32,
}

impl Backoff {
    /// The pipeline has failed after it had run for `ran`. How long to wait: between the half and
    /// the whole of what doubles with each failure, by `chance` (0 to 1), so that many that failed
    /// at once do not come back at once.
    pub(super) fn failed(&mut self, ran: Duration, restart: &Restart, chance: f64) -> Duration {
        if ran >= restart.healthy_after {
            self.in_a_row = 0;
        }
        let doubled = 2u32.checked_pow(self.in_a_row.min(DOUBLINGS_MAX));
        self.in_a_row = self.in_a_row.saturating_add(1);
        let whole = doubled
            .and_then(|factor| restart.min.checked_mul(factor))
            .map_or(restart.max, |wait| wait.min(restart.max));
        whole / 2 + (whole / 2).mul_f64(chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_while_of_health() {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        let restart = Restart { min: ms(100), max: ms(1_500), healthy_after: s(600) };
        let mut backoff = Backoff::default();
        for (ran, chance, wait) in [
            (s(0), 1.0, ms(100)),
            (s(0), 1.0, ms(200)),
            (s(599), 1.0, ms(400)),
            (s(0), 0.0, ms(400)),
            (s(0), 0.5, ms(1_125)),
            (s(600), 1.0, ms(100)),
            (s(0), 0.0, ms(100)),
        ] {
            assert_eq!(backoff.failed(ran, &restart, chance), wait, "{ran:?} {chance}");
        }
        for _ in 0..100 {
            backoff.failed(s(0), &restart, 1.0);
        }
        assert_eq!(backoff.failed(s(0), &restart, 1.0), ms(1_500));
    }
}
