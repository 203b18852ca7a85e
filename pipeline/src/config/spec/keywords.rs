//! Enums whose values are words of the file.

/// Lists the names of an enum as the file writes them, in the order in which messages show them.
pub(crate) trait Keywords: Sized + Copy + 'static {
    /// Name and value.
    const ALL: &'static [(&'static str, Self)];
}

/// Gives an enum its names in the file, `as_str` and `Display`.
macro_rules! keywords {
    ($type:ident { $($text:literal => $variant:ident),+ $(,)? }) => {
        impl $crate::config::spec::keywords::Keywords for $type {
            const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),+];
        }

        #[allow(unreachable_pub, reason = "some of the enums are one step's own")]
        impl $type {
            /// The name in `pipelines.toml`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use keywords;
