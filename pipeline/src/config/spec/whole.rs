//! A whole configuration.

use super::destination::Destination;
use super::maintain::Maintain;
use super::pipeline::Pipeline;
use super::query::Query;
use super::riskstream::Riskstream;
use super::service::{MetricsEndpoint, Tracing};
use super::source::Source;
use crate::config::span::Spanned;

/// A whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Spec {
    /// `[riskstream]`.
    pub riskstream: Riskstream,
    /// `[metrics]`: where the program says how it is; none: nowhere.
    pub metrics: Option<MetricsEndpoint>,
    /// `[tracing]`: who is sent spans of epochs; none: nobody.
    pub tracing: Option<Tracing>,
    /// `[query]`: who answers SQL; none: nobody but the command line.
    pub query: Option<Query>,
    /// `[maintain]`: how the files of tables are kept few.
    pub maintain: Maintain,
    /// `[sources.NAME]`, in the order of the file.
    pub sources: Vec<Source>,
    /// `[pipelines.NAME]`, in the order of the file.
    pub pipelines: Vec<Pipeline>,
}

impl Spec {
    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| *source.name == name)
    }

    /// The pipeline of this name.
    pub fn pipeline(&self, name: &str) -> Option<&Pipeline> {
        self.pipelines.iter().find(|pipeline| *pipeline.name == name)
    }

    /// Every Delta table that the pipelines write, in the order of the file.
    pub fn tables(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.pipelines.iter().flat_map(|pipeline| pipeline.to.iter()).filter_map(Destination::table)
    }
}
