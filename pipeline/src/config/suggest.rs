//! Near-miss names: what the user may have meant.

/// How many names a message lists before it says how many more there are.
const LISTED_MAX: usize = 16;

/// The candidate nearest to `name`, if one is near enough to be a slip of the hand: at most a third
/// of its letters differ (a swap of neighbors counts once), or they differ in case, `-`, `_` and
/// spaces only.
pub(crate) fn closest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = fold(name);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        .map(|candidate| (strsim::osa_distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn fold(name: &str) -> String {
    // A name as long as a page is no slip of the hand, and the distance takes quadratic time.
    name.chars()
        .take(100)
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The help for an unknown name: the nearest candidate, else all of them after `lead` ("the columns
/// are").
pub(crate) fn help<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
    lead: &str,
) -> Option<String> {
    if let Some(near) = closest(name, candidates.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let list = list(candidates);
    (!list.is_empty()).then(|| format!("{lead} {list}"))
}

/// The names in back quotes with commas between, cut short where there are many.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.len() {
        0..=LISTED_MAX => names.join(", "),
        count => format!("{} and {} more", names[..LISTED_MAX].join(", "), count - LISTED_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_slip_of_the_hand_is_corrected_and_a_different_word_is_not() {
        let names = ["generator", "file", "event_time", "customer_id"];
        assert_eq!(closest("genrator", names), Some("generator"));
        assert_eq!(closest("event-time", names), Some("event_time"));
        assert_eq!(closest("Customer_ID", names), Some("customer_id"));
        assert_eq!(closest("fiel", names), Some("file"));
        assert_eq!(closest("kafka", names), None);
        assert_eq!(closest("", names), None);
    }
}
