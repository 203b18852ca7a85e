//! Where a PostgreSQL server is: a `postgresql://` address, as libpq's, and what can be asked of
//! its TLS.

use std::net::IpAddr;
use std::path::PathBuf;
use url::Url;

/// How much TLS is asked for; libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    /// None.
    Disable,
    /// When the server has it; without it otherwise. The default for a server on this machine.
    Prefer,
    /// Encrypted, whoever answers.
    Require,
    /// A certificate that a trusted authority has signed.
    VerifyCa,
    /// And that is the host's. The default for a server elsewhere.
    VerifyFull,
}

/// A server, a database, and who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) database: String,
    pub(crate) ssl_mode: SslMode,
    /// PEM file of authorities; none for the system's.
    pub(crate) ssl_root_cert: Option<PathBuf>,
}

impl std::fmt::Debug for Endpoint {
    /// Never shows the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "postgresql://{}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }
}

impl Endpoint {
    /// Reads `postgresql://user[:password]@host[:port]/database[?sslmode=…&sslrootcert=…]`; a host
    /// that is a folder of Unix sockets is written as `?host=/folder`.
    ///
    /// # Errors
    /// A sentence: what is wrong with the address and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = "an address is postgresql://user@host:5432/database?sslmode=verify-full";
        let url = Url::parse(text).map_err(|e| format!("it can't be read ({e}); {form}"))?;
        if !matches!(url.scheme(), "postgresql" | "postgres") {
            return Err(format!("it begins with {:?}; {form}", url.scheme()));
        }
        let plain = |text: &str| {
            percent_decoded(text)
                .ok_or_else(|| format!("{text:?} isn't UTF-8 behind its %-signs; {form}"))
        };
        let mut endpoint = Self {
            host: plain(url.host_str().unwrap_or_default())?,
            port: url.port().unwrap_or(5432),
            user: plain(url.username())?,
            password: url.password().map(plain).transpose()?,
            database: plain(url.path().trim_start_matches('/'))?,
            ssl_mode: SslMode::VerifyFull,
            ssl_root_cert: None,
        };
        let mut asked = None;
        for (key, value) in url.query_pairs() {
            match &*key {
                "sslmode" => {
                    asked = Some(match &*value {
                        "disable" => SslMode::Disable,
                        "allow" | "prefer" => SslMode::Prefer,
                        "require" => SslMode::Require,
                        "verify-ca" => SslMode::VerifyCa,
                        "verify-full" => SslMode::VerifyFull,
                        other => {
                            return Err(format!(
                                "sslmode is {other:?}; it is disable, prefer, require, verify-ca \
                                 or verify-full"
                            ));
                        }
                    });
                }
                "sslrootcert" if value == "system" => endpoint.ssl_root_cert = None,
                "sslrootcert" => endpoint.ssl_root_cert = Some(PathBuf::from(&*value)),
                "host" => endpoint.host = value.into_owned(),
                other => {
                    return Err(format!(
                        "it has {other:?}, which is not known; known are sslmode, sslrootcert and \
                         host"
                    ));
                }
            }
        }
        if endpoint.host.is_empty() {
            return Err(format!("it names no host; {form}"));
        }
        if endpoint.user.is_empty() {
            return Err(format!("it names no user; {form}"));
        }
        if endpoint.database.is_empty() {
            return Err(format!("it names no database; {form}"));
        }
        let by_default = if endpoint.is_here() { SslMode::Prefer } else { SslMode::VerifyFull };
        endpoint.ssl_mode = asked.unwrap_or(by_default);
        Ok(endpoint)
    }

    /// Whether the host is this machine: nobody stands between.
    fn is_here(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        self.socket().is_some()
            || host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The same with another password.
    #[must_use]
    pub fn with_password(mut self, password: String) -> Self {
        self.password = Some(password);
        self
    }

    /// Whether the address itself holds a password, which a file should not.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The socket's file, when the host is a folder of sockets.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        self.host
            .starts_with('/')
            .then(|| PathBuf::from(format!("{}/.s.PGSQL.{}", self.host, self.port)))
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |b: &u8| (*b as char).to_digit(16);
                bytes.push((digit(high)? * 16 + digit(low)?) as u8);
                rest = tail;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shown_without_its_password() {
        let e = Endpoint::parse(
            "postgresql://risk:s%40crêt@db.example.com:6432/loans?\
             sslmode=verify-full&sslrootcert=ca.pem",
        )
        .expect("good");
        assert_eq!(
            (e.host.as_str(), e.port, e.user.as_str(), e.database.as_str()),
            ("db.example.com", 6432, "risk", "loans")
        );
        assert_eq!(e.password.as_deref(), Some("s@crêt"));
        assert_eq!(
            (e.ssl_mode, e.ssl_root_cert.as_deref()),
            (SslMode::VerifyFull, Some(std::path::Path::new("ca.pem")))
        );
        assert_eq!(format!("{e:?}"), "postgresql://risk@db.example.com:6432/loans");
        let e =
            Endpoint::parse("postgres://risk@localhost/loans?host=/run/postgresql").expect("good");
        assert_eq!(e.socket(), Some(PathBuf::from("/run/postgresql/.s.PGSQL.5432")));
    }

    #[test]
    fn a_server_elsewhere_must_show_its_certificate_unless_the_address_says_otherwise() {
        for (address, expected) in [
            ("postgresql://a@db.example.com/c", SslMode::VerifyFull),
            ("postgresql://a@10.0.0.1/c", SslMode::VerifyFull),
            ("postgresql://a@localhost.example.com/c", SslMode::VerifyFull),
            ("postgresql://a@[2001:db8::1]/c", SslMode::VerifyFull),
            ("postgresql://a@db.example.com/c?sslmode=prefer", SslMode::Prefer),
            ("postgresql://a@db.example.com/c?sslmode=disable", SslMode::Disable),
            ("postgresql://a@localhost/c", SslMode::Prefer),
            ("postgresql://a@LocalHost:5433/c", SslMode::Prefer),
            ("postgresql://a@127.0.0.1/c", SslMode::Prefer),
            ("postgresql://a@127.1.2.3/c", SslMode::Prefer),
            ("postgresql://a@[::1]/c", SslMode::Prefer),
            ("postgresql://a@x/c?host=/run/postgresql", SslMode::Prefer),
            ("postgresql://a@localhost/c?host=db.example.com", SslMode::VerifyFull),
            ("postgresql://a@localhost/c?sslmode=verify-full", SslMode::VerifyFull),
        ] {
            assert_eq!(Endpoint::parse(address).map(|e| e.ssl_mode), Ok(expected), "{address}");
        }
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong() {
        for (text, wrong) in [
            ("mysql://a@b/c", "begins with"),
            ("postgresql://b/c", "no user"),
            ("postgresql://a@b", "no database"),
            ("postgresql://a@b/c?sslmode=yes", "sslmode"),
            ("postgresql://a@b/c?timeout=1", "not known"),
            ("loans", "can't be read"),
        ] {
            let said = Endpoint::parse(text).expect_err(text);
            assert!(said.contains(wrong), "{text}: {said}");
        }
    }
}
