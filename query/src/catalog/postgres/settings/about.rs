//! Which settings there are.

use std::collections::HashMap;
use std::sync::OnceLock;

/// What is known of a setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its value where nobody has set it.
    pub(crate) default: &'static str,
    /// The unit of its value, or nothing.
    pub(crate) unit: &'static str,
    /// Where it belongs.
    pub(crate) category: &'static str,
    /// What it does.
    pub(crate) description: &'static str,
    /// `user` where it can be set.
    pub(crate) context: &'static str,
    /// `bool`, `enum`, `integer`, `real` or `string`.
    pub(crate) kind: &'static str,
    /// Its least value, or nothing.
    pub(crate) min: &'static str,
    /// Its greatest value, or nothing.
    pub(crate) max: &'static str,
    /// The values that it may have, with commas between; or nothing.
    pub(crate) choices: &'static str,
}

/// All of them, by name.
pub(super) fn all() -> &'static [About] {
    static ALL: OnceLock<Vec<About>> = OnceLock::new();
    ALL.get_or_init(|| include_str!("../lists/settings.txt").lines().filter_map(parse).collect())
}

/// The one with a name, in any case.
pub(super) fn about(name: &str) -> Option<&'static About> {
    static PLACES: OnceLock<HashMap<String, usize>> = OnceLock::new();
    let places = PLACES.get_or_init(|| {
        all().iter().enumerate().map(|(at, about)| (about.name.to_ascii_lowercase(), at)).collect()
    });
    places.get(&name.to_ascii_lowercase()).and_then(|at| all().get(*at))
}

fn parse(line: &'static str) -> Option<About> {
    let mut parts = line.split('|');
    let mut next = || parts.next();
    Some(About {
        name: next()?,
        default: next()?,
        unit: next()?,
        category: next()?,
        description: next()?,
        context: next()?,
        kind: next()?,
        min: next()?,
        max: next()?,
        choices: next()?,
    })
}
