//! "Did you mean" for names in queries.

/// The nearest of the names, if near enough to be meant; the same one each time, in whatever order
/// they come.
pub(crate) fn nearest<'n>(
    wanted: &str,
    names: impl Iterator<Item = &'n String>,
) -> Option<&'n str> {
    let lower = wanted.to_lowercase();
    let far = |name: &String| strsim::damerau_levenshtein(&lower, &name.to_lowercase());
    let (distance, name) = names.map(|name| (far(name), name)).min()?;
    (distance <= wanted.chars().count().max(3) / 3).then_some(name.as_str())
}

/// The nearest of the names, if near enough to be meant, else all of them.
pub(crate) fn suggest(wanted: &str, names: &[String]) -> String {
    match nearest(wanted, names.iter()) {
        Some(name) => format!("did you mean '{name}'?"),
        None if names.is_empty() => "there are none".to_owned(),
        None => format!("there are: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{nearest, suggest};

    #[test]
    fn a_near_miss_is_named_and_else_all_names() {
        let names = vec!["payments_scored".to_owned(), "alerts".to_owned()];
        assert_eq!(suggest("payment_scored", &names), "did you mean 'payments_scored'?");
        assert_eq!(suggest("Alert", &names), "did you mean 'alerts'?");
        assert_eq!(suggest("xyz", &names), "there are: payments_scored, alerts");
        assert_eq!(suggest("xyz", &[]), "there are none");
        let [there, back] = [["sum_a", "sum_b"], ["sum_b", "sum_a"]].map(|n| n.map(str::to_owned));
        assert_eq!(nearest("sum_c", there.iter()), Some("sum_a"));
        assert_eq!(nearest("sum_c", back.iter()), Some("sum_a"));
    }
}
