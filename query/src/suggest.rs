//! "Did you mean" for names in queries.

/// The nearest of the names, if near enough to be meant, else all of them.
pub(crate) fn suggest(wanted: &str, names: &[String]) -> String {
    let lower = wanted.to_lowercase();
    let nearest = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .min();
    match nearest {
        Some((distance, name)) if distance <= wanted.chars().count().max(3) / 3 => {
            format!("did you mean '{name}'?")
        }
        Some(_) => format!("there are: {}", names.join(", ")),
        None => "there are none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn a_near_miss_is_named_and_else_all_names() {
        let names = vec!["payments_scored".to_owned(), "alerts".to_owned()];
        assert_eq!(suggest("payment_scored", &names), "did you mean 'payments_scored'?");
        assert_eq!(suggest("Alert", &names), "did you mean 'alerts'?");
        assert_eq!(suggest("xyz", &names), "there are: payments_scored, alerts");
        assert_eq!(suggest("xyz", &[]), "there are none");
    }
}
