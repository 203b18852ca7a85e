//! What can go wrong, one enum per thing that a caller does: score, train, read a model file, use
//! the registry.

use std::path::PathBuf;

use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// A batch could not be scored. Every cause is the pipeline's set-up, never the value of a row.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The batch lacks a column that the model was trained on.
    #[error("column `{column}`, a feature of the model, is not in the rows; they have {found}")]
    MissingColumn {
        /// The feature's name.
        column: String,
        /// The columns that the batch has, joined by commas.
        found: String,
    },
    /// The column is of a type that is not a number or a boolean.
    #[error(
        "column `{column}` is {found}, but a feature must be a number or a boolean; cast it in a \
         `derive` step"
    )]
    ColumnType {
        /// The feature's name.
        column: String,
        /// The column's type.
        found: DataType,
    },
    /// The matrix has another number of columns than the model has features.
    #[error("the matrix has {found} columns, but the model has {expected} features")]
    Shape {
        /// Features of the model.
        expected: usize,
        /// Columns of the matrix.
        found: usize,
    },
    /// A row was asked for that the batch does not have.
    #[error("row {row} was asked for, but the batch has {rows} rows")]
    RowOutOfRange {
        /// The row asked for.
        row: usize,
        /// Rows in the batch.
        rows: usize,
    },
    /// An Arrow kernel failed.
    #[error("arrow could not prepare the feature columns")]
    Arrow(#[from] ArrowError),
}

/// A model could not be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The rows lack a column that the specification names.
    #[error("column `{column}` is not in the training rows; they have {found}")]
    MissingColumn {
        /// The column's name.
        column: String,
        /// The columns that the rows have, joined by commas.
        found: String,
    },
    /// A column has a type that its role does not allow.
    #[error("column `{column}` is {found}, but {role}")]
    ColumnType {
        /// The column's name.
        column: String,
        /// The column's type.
        found: DataType,
        /// What the column is for and which types are right.
        role: &'static str,
    },
    /// A label is neither 0 nor 1.
    #[error("label {value} in column `{column}` is neither 0 nor 1")]
    Label {
        /// The label column's name.
        column: String,
        /// The value found.
        value: f64,
    },
    /// A window has no labeled rows.
    #[error(
        "no labeled rows in the {window} window, {from} to {to} (exclusive): check the dates and \
         the event time column"
    )]
    EmptyWindow {
        /// `training` or `test`.
        window: &'static str,
        /// First day.
        from: String,
        /// First day after the window.
        to: String,
    },
    /// A window has rows of one class only, so that nothing can be learned or measured.
    #[error(
        "all {rows} rows in the {window} window have label {label}; both frauds and genuine rows \
         are needed"
    )]
    OneClass {
        /// `training` or `test`.
        window: &'static str,
        /// Rows in it.
        rows: usize,
        /// The only label found.
        label: u8,
    },
    /// The specification itself is wrong.
    #[error("{problem}")]
    Spec {
        /// What is wrong and what would be right.
        problem: String,
    },
    /// smartcore did not fit the model.
    #[error("fitting the {algorithm} failed: {reason}")]
    Fit {
        /// Which algorithm.
        algorithm: &'static str,
        /// smartcore's words.
        reason: String,
    },
    /// smartcore's serialized trees did not have the form that this crate reads.
    #[error(
        "the fitted forest can't be read: {field} is missing or of another type; smartcore's form \
         changed"
    )]
    FittedForm {
        /// The field that was looked for.
        field: &'static str,
    },
    /// The fitted trees are not a valid forest.
    #[error("the fitted forest is not valid")]
    Forest(#[from] ForestError),
    /// The fitted model could not score its own rows.
    #[error("the fitted model can't score its rows")]
    Score(#[from] ScoreError),
    /// An Arrow kernel failed.
    #[error("arrow could not prepare the training columns")]
    Arrow(#[from] ArrowError),
}

/// The bytes of a model file are not a model that may be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// Not the JSON that this crate writes.
    #[error("not a model file: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by another version of the format.
    #[error(
        "format version {found}, but this program reads version {expected}; train again, or use \
         the program that wrote it"
    )]
    FormatVersion {
        /// The version in the file.
        found: u32,
        /// The version that is read.
        expected: u32,
    },
    /// The file was changed after it was written.
    #[error(
        "checksum {found} but the content gives {actual}: the file is damaged or was edited; \
         restore it or train again"
    )]
    Checksum {
        /// The checksum in the file.
        found: String,
        /// The checksum of the content.
        actual: String,
    },
    /// A part contradicts another.
    #[error("the model is not consistent: {problem}")]
    Inconsistent {
        /// What contradicts what.
        problem: String,
    },
    /// The trees are not a valid forest.
    #[error("the forest is not valid: {0}")]
    Forest(#[from] ForestError),
    /// A probe row does not get the score that was stored with it.
    #[error(
        "probe row {row} scores {actual} but {expected} was stored when the model was registered; \
         this machine or program would decide differently, so the model is refused"
    )]
    Probe {
        /// Which probe row, from 0.
        row: usize,
        /// The stored score.
        expected: f64,
        /// The score now.
        actual: f64,
    },
}

/// The registry could not give or take a model.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A name that can't be a folder's.
    #[error(
        "`{name}` can't be a model's name: use letters, digits, `-` and `_`, at most 100, \
         beginning with a letter or a digit"
    )]
    Name {
        /// The name given.
        name: String,
    },
    /// No version of this model is registered.
    #[error("no model `{name}` in the registry {}; train one first", .registry.display())]
    NoModel {
        /// The name asked for.
        name: String,
        /// The registry's folder.
        registry: PathBuf,
    },
    /// The version is not registered.
    #[error("model `{name}` has no version {version} in the registry {}", .registry.display())]
    NoVersion {
        /// The name asked for.
        name: String,
        /// The version asked for.
        version: u64,
        /// The registry's folder.
        registry: PathBuf,
    },
    /// A file was found, but it is not a model that may be used.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ModelFileError,
    },
    /// No version of the model loads.
    #[error(
        "none of the {} versions of model `{name}` loads; the newest: {}",
        .problems.len(),
        .problems.first().map(ToString::to_string).unwrap_or_default()
    )]
    NoneLoads {
        /// The name asked for.
        name: String,
        /// One per version, the newest first.
        problems: Vec<RegistryError>,
    },
    /// Other programs registered versions faster than this one could.
    #[error("model `{name}`: {attempts} version numbers in a row were taken by others; try again")]
    Contended {
        /// The model's name.
        name: String,
        /// How many numbers were tried.
        attempts: u32,
    },
    /// The file system refused.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// The arrays do not form a forest.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ForestError {
    /// No trees, or a tree without nodes.
    #[error("tree {tree} has no nodes")]
    Empty {
        /// Which tree.
        tree: usize,
    },
    /// Rows without features can't be split.
    #[error("the forest has no features to look at")]
    NoFeatures,
    /// The arrays of a tree differ in length.
    #[error("the arrays of tree {tree} differ in length")]
    Lengths {
        /// Which tree.
        tree: usize,
    },
    /// A node names a feature or a child that can't be.
    #[error("node {node} of tree {tree}: {problem}")]
    Node {
        /// Which tree.
        tree: usize,
        /// Which node.
        node: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// Larger than the compiled form can name.
    #[error(
        "{what} is {found}, but at most {limit} can be scored; fit smaller trees or fewer features"
    )]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        found: usize,
        /// How large it may be.
        limit: usize,
    },
}
