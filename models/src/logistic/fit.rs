//! Fitting the logistic regression: standardize, then smartcore's L-BFGS.
//!
//! smartcore minimizes Σ log-loss + ½ · alpha · Σ coefficient², with the intercept free: the
//! objective that scikit-learn minimizes with C = 1 / alpha, so the default of 1 is scikit-learn's
//! default.

use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{
    LogisticRegression as Fitted, LogisticRegressionParameters,
};

use super::LogisticRegression;
use crate::error::TrainError;

/// How to fit a logistic regression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogisticParameters {
    /// Strength of the L2 penalty on the coefficients (the intercept is free); 0 for none.
    pub alpha: f64,
}

impl Default for LogisticParameters {
    fn default() -> Self {
        Self { alpha: 1.0 }
    }
}

/// Fits to `columns` (one slice per feature, finite values) and `labels` (true: fraud).
pub(crate) fn fit(
    columns: &[Vec<f64>],
    labels: &[bool],
    parameters: LogisticParameters,
) -> Result<LogisticRegression, TrainError> {
    let failed = |reason: String| TrainError::Fit { algorithm: "logistic regression", reason };
    let rows = labels.len();
    let width = columns.len();
    let (mean, scale): (Vec<f64>, Vec<f64>) =
        columns.iter().map(|column| mean_and_scale(column)).unzip();

    // Row by row, because smartcore's objective reads a whole row at a time.
    let mut standardized = vec![0.0; rows * width];
    for (feature, column) in columns.iter().enumerate() {
        for (row, value) in column.iter().enumerate() {
            standardized[row * width + feature] = (value - mean[feature]) / scale[feature];
        }
    }
    let x = DenseMatrix::new(rows, width, standardized, false)
        .map_err(|error| failed(error.to_string()))?;
    let y: Vec<u32> = labels.iter().map(|label| u32::from(*label)).collect();
    let fitted =
        Fitted::fit(&x, &y, LogisticRegressionParameters::default().with_alpha(parameters.alpha))
            .map_err(|error| failed(error.to_string()))?;

    let coefficients: Vec<f64> =
        (0..width).map(|feature| *fitted.coefficients().get((0, feature))).collect();
    let intercept = *fitted.intercept().get((0, 0));
    if !intercept.is_finite() || coefficients.iter().any(|coefficient| !coefficient.is_finite()) {
        return Err(failed(
            "the optimizer ended with a coefficient that is not a number".to_owned(),
        ));
    }
    Ok(LogisticRegression { mean, scale, coefficients, intercept })
}

/// Mean and population standard deviation, in two passes; the scale of a constant column is 1, so
/// that it divides.
fn mean_and_scale(column: &[f64]) -> (f64, f64) {
    let count = column.len().max(1) as f64;
    let mean = column.iter().sum::<f64>() / count;
    let variance = column.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    let scale = variance.sqrt();
    // Below this, the spread is rounding noise of the mean: dividing by it would blow the noise up
    // to unit variance.
    let noise = mean.abs() * f64::EPSILON * 10.0;
    (mean, if scale > noise && scale.is_finite() { scale } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_scale_are_the_population_ones_and_a_constant_column_scales_by_1() {
        assert_eq!(mean_and_scale(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), (5.0, 2.0));
        assert_eq!(mean_and_scale(&[0.1; 7]).1, 1.0);
    }

    #[test]
    fn the_fit_is_a_minimum_of_the_penalized_log_loss() {
        let x: Vec<f64> = (0..200).map(|row| ((row * 37) % 101) as f64).collect();
        let z: Vec<f64> = (0..200).map(|row| ((row * 53) % 17) as f64).collect();
        let labels: Vec<bool> =
            (0..200).map(|row| x[row] + 3.0 * z[row] + ((row * 29) % 41) as f64 > 100.0).collect();
        let fitted =
            fit(&[x.clone(), z.clone()], &labels, LogisticParameters { alpha: 1.0 }).unwrap();

        // At a minimum the gradient is 0: for the intercept Σ (p - y), for a coefficient Σ (p - y)
        // · standardized + alpha · coefficient.
        let mut gradient = [0.0, fitted.coefficients[0], fitted.coefficients[1]];
        for row in 0..200 {
            let inputs = [
                (x[row] - fitted.mean[0]) / fitted.scale[0],
                (z[row] - fitted.mean[1]) / fitted.scale[1],
            ];
            let log_odds = fitted.intercept
                + fitted.coefficients[0] * inputs[0]
                + fitted.coefficients[1] * inputs[1];
            let error = super::super::sigmoid(log_odds) - f64::from(u8::from(labels[row]));
            gradient[0] += error;
            gradient[1] += error * inputs[0];
            gradient[2] += error * inputs[1];
        }
        assert!(gradient.iter().all(|slope| slope.abs() < 1e-3), "{gradient:?}");
    }
}
