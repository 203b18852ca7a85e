//! A pipeline's steps, and what names them.

use super::names::KnownAs;
use crate::config::Config;
use crate::config::spec::Pipeline;
use crate::steps::Chain;

/// A pipeline's steps, and what names them.
pub(crate) struct StepContext<'a> {
    pub(crate) config: &'a Config,
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) known_as: KnownAs,
    pub(crate) chain: Chain<'a>,
}
