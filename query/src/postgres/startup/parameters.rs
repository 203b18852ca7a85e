//! The parameters of a StartupMessage.

use crate::postgres::error::Problem;

/// What a client says at its start.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) user: String,
    pub(super) database: String,
    /// Settings in the order in which they count, the last one most.
    pub(super) settings: Vec<(String, String)>,
    /// Parts of the protocol that it would like.
    pub(super) extensions: Vec<String>,
}

/// Names and values, each with a zero behind it, and a zero behind all.
pub(super) fn parse(bytes: &[u8]) -> Result<Parameters, Problem> {
    let layout = || {
        Problem::fatal("08P01", "invalid startup packet layout: expected terminator as last byte")
    };
    let mut texts = bytes.strip_suffix(&[0]).ok_or_else(layout)?;
    let mut next = || -> Result<Option<String>, Problem> {
        if texts.is_empty() {
            return Ok(None);
        }
        let end = texts.iter().position(|&byte| byte == 0).ok_or_else(layout)?;
        let (text, rest) = texts.split_at(end);
        texts = rest.get(1..).unwrap_or_default();
        match std::str::from_utf8(text) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Problem::fatal("22021", "invalid byte sequence for encoding \"UTF8\"")),
        }
    };
    let mut parameters = Parameters::default();
    let mut options = String::new();
    let mut direct = Vec::new();
    while let Some(name) = next()? {
        let value = next()?.ok_or_else(layout)?;
        match name.as_str() {
            "" => return Err(layout()),
            "user" => parameters.user = value,
            "database" => parameters.database = value,
            "options" => options = value,
            "replication" if !matches!(value.as_str(), "false" | "off" | "no" | "0") => {
                return Err(Problem::fatal("0A000", "replication is not supported"));
            }
            "replication" => {}
            _ if name.starts_with("_pq_.") => parameters.extensions.push(name),
            _ => direct.push((name, value)),
        }
    }
    if parameters.user.is_empty() {
        let text = "no PostgreSQL user name specified in startup packet";
        return Err(Problem::fatal("28000", text));
    }
    if parameters.database.is_empty() {
        parameters.database = parameters.user.clone();
    }
    parameters.settings = switches(&options)?;
    parameters.settings.extend(direct);
    Ok(parameters)
}

/// `-c name=value`, `-cname=value`, `--name=value`; a backslash keeps a space.
fn switches(options: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut settings = Vec::new();
    let mut words = words(options).into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next().unwrap_or_default()
        } else if let Some(setting) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            setting.to_owned()
        } else {
            let text = format!("invalid command-line argument for server process: {word}");
            return Err(Problem::fatal("42601", text));
        };
        let Some((name, value)) = setting.split_once('=') else {
            let text = format!("-c {setting} requires a value");
            return Err(Problem::fatal("42601", text));
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let last = words.last_mut();
        match c {
            '\\' => {
                if let (Some(last), Some(kept)) = (last, characters.next()) {
                    last.push(kept);
                }
            }
            c if c.is_ascii_whitespace() => words.push(String::new()),
            c => {
                if let Some(last) = last {
                    last.push(c);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_come_before_what_is_said_directly() {
        let bytes = b"user\0ada\0options\0-c a=1 -cb=2\\ 3 --c-d=4\0a\x005\0_pq_.x\0y\0\0";
        let parameters = parse(bytes).unwrap();
        assert_eq!(parameters.database, "ada");
        assert_eq!(parameters.extensions, ["_pq_.x"]);
        let settings = pairs(&[("a", "1"), ("b", "2 3"), ("c_d", "4"), ("a", "5")]);
        assert_eq!(parameters.settings, settings);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for (bytes, code) in [
            (&b""[..], "08P01"),
            (b"user\0ada", "08P01"),
            (b"user\0ada\0", "08P01"),
            (b"user\0\0", "08P01"),
            (b"database\0x\0\0", "28000"),
            (b"\0", "28000"),
            (b"user\0\xff\0\0", "22021"),
            (b"user\0a\0options\0-x\0\0", "42601"),
            (b"user\0a\0options\0-c\0\0", "42601"),
        ] {
            let problem = parse(bytes).unwrap_err();
            assert_eq!((problem.code, problem.is_fatal()), (code, true), "{bytes:?}");
        }
    }
}
