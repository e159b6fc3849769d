//! Classifiers that try to tell two samples apart, and their accuracy on unseen rows.

use rand::seq::SliceRandom;
use rand_pcg::Pcg32;
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};
use smartcore::xgboost::{XGRegressor, XGRegressorParameters};

/// Number of folds for cross-validation, by groups.
pub const FOLDS: usize = 5;
/// Number of trees, their depth and the learning rate.
const TREES: usize = 100;
const DEPTH: u16 = 3;
const RATE: f64 = 0.1;
/// Fraction of the rows used for each tree, and the minimum number of rows in a leaf.
const SUBSAMPLE: f64 = 0.7;
const SMALLEST_LEAF: usize = 5;

/// A row of the data: features and label.
#[derive(Clone, Debug)]
pub struct Row {
    /// Rows of the same group are always in the same fold.
    pub group: usize,
    /// The features; the same number in all rows.
    pub values: Vec<f64>,
    /// Which of the two samples it belongs to.
    pub label: bool,
}

/// Trains on the first rows and returns a score for each of the others, on any scale; higher means `true`. The number
/// is a seed.
pub type Classifier = fn(&[&Row], &[&Row], u64) -> Vec<f64>;

/// Cross-validated area under the ROC curve of a classifier: 0.5 is chance, 1 is always right. Mean over the folds,
/// weighted by the number of rows with the rarer label; folds without rows of both labels do not count. There must be
/// at least [`FOLDS`] groups.
pub fn cross_validated(rows: &[Row], classifier: Classifier, seed: u64) -> f64 {
    let folds = folds(rows, seed);
    let (mut sum, mut weight) = (0.0, 0.0);
    for fold in 0..FOLDS {
        let (test, train): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| folds[row.group] == fold);
        let positive = test.iter().filter(|row| row.label).count();
        let pairs = positive.min(test.len() - positive) as f64;
        if pairs > 0.0 {
            let scores = classifier(&train, &test, seed);
            let scored: Vec<(f64, bool)> = scores.into_iter().zip(&test).map(|(s, row)| (s, row.label)).collect();
            sum += pairs * area_under_curve(scored);
            weight += pairs;
        }
    }
    if weight > 0.0 { sum / weight } else { 0.5 }
}

/// The fold of each group: random, but with similar numbers of rows in each fold.
fn folds(rows: &[Row], seed: u64) -> Vec<usize> {
    let groups = rows.iter().map(|row| row.group + 1).max().unwrap_or(0);
    let mut sizes = vec![0; groups];
    rows.iter().for_each(|row| sizes[row.group] += 1);
    let mut order: Vec<usize> = (0..groups).collect();
    order.shuffle(&mut Pcg32::new(seed, 0x0066_6f6c_6473));
    order.sort_by_key(|&group| std::cmp::Reverse(sizes[group]));
    let (mut folds, mut filled) = (vec![0; groups], [0; FOLDS]);
    for group in order {
        let smallest = (0..FOLDS).min_by_key(|&fold| filled[fold]).unwrap_or(0);
        folds[group] = smallest;
        filled[smallest] += sizes[group];
    }
    folds
}

/// Area under the ROC curve: the probability that a `true` item has the higher score; ties count half.
pub fn area_under_curve(mut scored: Vec<(f64, bool)>) -> f64 {
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positive = scored.iter().filter(|(_, label)| *label).count() as f64;
    let negative = scored.len() as f64 - positive;
    let (mut below, mut area) = (0.0, 0.0);
    for equal in scored.chunk_by(|a, b| a.0 == b.0) {
        let here = equal.iter().filter(|(_, label)| *label).count() as f64;
        let others = equal.len() as f64 - here;
        area += here * (below + others / 2.0);
        below += others;
    }
    if positive * negative > 0.0 { area / (positive * negative) } else { 0.5 }
}

fn matrix(rows: &[&Row], column_major: bool, value: impl Fn(usize, f64) -> f64) -> DenseMatrix<f64> {
    let columns = rows.first().map_or(0, |row| row.values.len());
    let at = |row: usize, column: usize| value(column, rows[row].values[column]);
    let values = if column_major {
        (0..columns).flat_map(|column| (0..rows.len()).map(move |row| (row, column))).map(|(r, c)| at(r, c)).collect()
    } else {
        (0..rows.len()).flat_map(|row| (0..columns).map(move |column| (row, column))).map(|(r, c)| at(r, c)).collect()
    };
    DenseMatrix::new(rows.len(), columns, values, column_major).expect("as many values as rows and columns say")
}

fn labels(rows: &[&Row]) -> Vec<u32> {
    rows.iter().map(|row| u32::from(row.label)).collect()
}

/// Gradient-boosted trees.
pub fn boosting(train: &[&Row], test: &[&Row], seed: u64) -> Vec<f64> {
    let [train_x, test_x] = [train, test].map(|rows| matrix(rows, true, |_, value| value));
    let parameters = XGRegressorParameters::default()
        .with_n_estimators(TREES)
        .with_max_depth(DEPTH)
        .with_learning_rate(RATE)
        .with_subsample(SUBSAMPLE)
        .with_min_child_weight(SMALLEST_LEAF)
        .with_seed(seed);
    let trees = XGRegressor::fit(&train_x, &labels(train), parameters).expect("there are rows and columns");
    trees.predict(&test_x).expect("it has been fitted")
}

/// Logistic regression on standardized features.
pub fn logistic(train: &[&Row], test: &[&Row], _: u64) -> Vec<f64> {
    let columns = train.first().map_or(0, |row| row.values.len());
    let scales: Vec<(f64, f64)> = (0..columns)
        .map(|column| {
            let mean = |of: &dyn Fn(f64) -> f64| {
                train.iter().map(|row| of(row.values[column])).sum::<f64>() / train.len() as f64
            };
            let middle = mean(&|value| value);
            (middle, mean(&|value| (value - middle).powi(2)).sqrt().max(1e-9))
        })
        .collect();
    regression(train, test, 1.0, |column, value| {
        let (middle, deviation) = scales[column];
        // Limits the influence of values far from those in the training rows.
        ((value - middle) / deviation).clamp(-5.0, 5.0)
    })
}

/// Logistic regression on n-grams, which are scaled already.
pub fn logistic_on_grams(train: &[&Row], test: &[&Row], _: u64) -> Vec<f64> {
    regression(train, test, 0.05, |_, value| value)
}

/// Logistic regression; `alpha` is the strength of L2 regularization.
fn regression(train: &[&Row], test: &[&Row], alpha: f64, value: impl Fn(usize, f64) -> f64) -> Vec<f64> {
    let train_x = matrix(train, false, &value);
    let parameters = LogisticRegressionParameters::default().with_alpha(alpha);
    let Ok(fitted) = LogisticRegression::fit(&train_x, &labels(train), parameters) else {
        // All training rows have the same label: nothing can be learned.
        return vec![0.0; test.len()];
    };
    let weights = fitted.coefficients();
    let score = |row: &&Row| {
        row.values.iter().enumerate().map(|(column, &v)| weights.get((0, column)) * value(column, v)).sum()
    };
    test.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    /// Rows in groups: a value that depends on the label by `says`, one that identifies the group, and noise.
    fn rows(groups: usize, of_each: usize, says: f64) -> Vec<Row> {
        let mut rng = Pcg32::new(7, 7);
        let mut rows = Vec::new();
        for group in 0..groups {
            for number in 0..of_each {
                let label = number % 2 == 0;
                let mut noise = || rng.random_range(-1.0..1.0);
                let told = if label { says } else { -says } + noise();
                rows.push(Row { group, values: vec![told, group as f64, noise(), noise()], label });
            }
        }
        rows
    }

    #[test]
    fn what_is_told_is_found_and_noise_is_not() {
        for classifier in [boosting as Classifier, logistic] {
            assert!(cross_validated(&rows(20, 10, 2.0), classifier, 1) > 0.99);
            let half = cross_validated(&rows(20, 10, 0.5), classifier, 1);
            assert!((0.7..0.95).contains(&half), "{half}");
            let nothing = cross_validated(&rows(40, 20, 0.0), classifier, 1);
            assert!((0.42..0.58).contains(&nothing), "{nothing}");
        }
    }

    #[test]
    fn groups_stay_together_and_folds_are_of_like_size() {
        let mut rows = rows(30, 4, 0.0);
        rows.extend((0..16).map(|_| Row { group: 30, values: vec![0.0; 4], label: true }));
        let folds = folds(&rows, 3);
        let mut sizes = [0; FOLDS];
        rows.iter().for_each(|row| sizes[folds[row.group]] += 1);
        assert!(sizes.iter().all(|size| (24..=32).contains(size)), "{sizes:?}");
        assert_ne!(folds, super::folds(&rows, 4), "drawn");
    }

    #[test]
    fn the_area_counts_pairs_in_order() {
        let area = |list: &[(f64, bool)]| area_under_curve(list.to_vec());
        assert_eq!(area(&[(1.0, false), (2.0, true), (3.0, false), (4.0, true)]), 0.75);
        assert_eq!(area(&[(1.0, false), (1.0, true)]), 0.5);
        assert_eq!(area(&[(2.0, false), (1.0, true)]), 0.0);
        assert_eq!(area(&[(2.0, true)]), 0.5);
    }
}
