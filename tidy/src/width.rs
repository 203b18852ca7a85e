//! Lines that are too wide to read beside another file.

/// Columns of a line, at most.
pub(crate) const COLUMNS_MAX: usize = 100;

/// Lines of a file that are wider, each with its place and columns. `file` is its name; a setting
/// with an inline table in a page's block of TOML is one line whatever its width.
#[must_use]
pub(crate) fn wide(file: &str, text: &str) -> Vec<String> {
    let mut is_toml = false;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            is_toml = language == "toml";
        }
        let is_setting = is_toml && line.contains(" = ");
        let columns = line.chars().count();
        if columns > COLUMNS_MAX && !is_setting {
            found.push(format!("{file}:{number}: {columns} columns"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_in_toml_blocks_may_be_wide_and_nothing_else() {
        let wide_setting = format!("a = {{ {} }}", "b".repeat(100));
        let text = format!("```toml\n{wide_setting}\n```\n{wide_setting}\n{}", "ä".repeat(100));
        assert_eq!(wide("x.md", &text), ["x.md:4: 108 columns"]);
    }
}
