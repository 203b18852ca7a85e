//! What is drawn on: so many characters, with colors or without.

/// A place for a drawing in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::query) struct Paper {
    /// Characters in a line.
    pub(in crate::commands::query) width: usize,
    /// Lines of the drawing itself, without labels.
    pub(in crate::commands::query) height: usize,
    /// Whether it takes ANSI's colors.
    pub(in crate::commands::query) color: bool,
}

impl Paper {
    /// The narrowest and lowest on which something can be told apart.
    const WIDTH_MIN: usize = 30;
    const HEIGHT_MIN: usize = 4;

    pub(super) fn width(self) -> usize {
        self.width.max(Self::WIDTH_MIN)
    }

    pub(super) fn height(self) -> usize {
        self.height.max(Self::HEIGHT_MIN)
    }
}

/// ANSI's colors of series: cyan, yellow, magenta, green, red, blue.
const COLORS: [u8; 6] = [36, 33, 35, 32, 31, 34];

/// A text in the color of a series, if there are colors.
pub(super) fn colored(text: &str, series: usize, color: bool) -> String {
    match color {
        true if !text.is_empty() => {
            format!("\u{1b}[{}m{text}\u{1b}[0m", COLORS[series % COLORS.len()])
        }
        true | false => text.to_owned(),
    }
}

/// The names of series with their marks in front, for several.
pub(super) fn legend(names: &[(&str, char)], color: bool) -> String {
    let names = names.iter().enumerate();
    let names = names.map(|(index, (name, mark))| colored(&format!("{mark} {name}"), index, color));
    names.collect::<Vec<_>>().join("   ")
}
