//! The users file: from text to a [`Policy`], or to all that is wrong with it at once.
//!
//! ```toml
//! mask_key = "mask.key"      # a file beside this one, at least 16 random bytes, for `hash`
//!
//! [users.acme-lender]
//! password = "SCRAM-SHA-256$4096:<salt>$<stored>:<server>"   # a verifier, never the password
//! roles = ["lender"]
//! attributes = { lender_id = ["17"] }
//!
//! [jwt]                      # tokens as passwords over TLS and as bearer tokens
//! issuer = "https://issuer.example"
//! audience = "riskstream"
//! keys = "jwks.json"         # a file beside this one, or an https URL
//! login = "token"            # the user name with which a PostgreSQL client sends a token
//! name = "sub"               # claims; one that begins with / is a JSON pointer
//! roles = "roles"
//! attributes = { lender_id = "lender_id" }
//! allow_owner = false        # whether a token may have the role that sees everything
//!
//! [roles.lender]
//! tables = ["lenders", "loans_now", "public.*"]
//! rows = [{ table = "*", column = "lender_id", in = "lender_id" }]
//! masks = [{ table = "loans", column = "borrower", as = "null" }]
//! limits = { statement_timeout = "30s", rows = 1_000_000, statements = 4 }
//! ```
//! - `tables`: what is not named is not there for the role. A name without a schema is one of
//!   `public`; `system` has to be written out, and so has `dead_letters`, which holds records of
//!   everybody.
//! - `rows`: all that reach a table must let a row pass. Without a schema they reach every schema.
//!   A table that lacks the column is not there for the role. What reaches `NAME_now` reaches
//!   `NAME`, and the other way round; masks as well.
//! - `masks`: `null`, `hash`, `last4`, or a text with some character that is no letter or digit.
//! - Of several roles, a row is seen if one lets it pass, and unmasked if one of those shows it so.
//!   Limits: the most generous of the roles that name one.

mod roles;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::hmac;
use toml::de::{DeTable, DeValue};

use self::roles::role;
use super::authenticate::{KeySet, KeysAt, TokenSettings, Verifier};
use super::policy::{Account, MaskKey, Policy};
use super::problem::{Problem, Problems};
use super::reader::{self, Node, Table, Text};
use crate::suggest::suggest;
use crate::user::ALL_SEEING;

/// Largest users file, and largest file that it names, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Fewest bytes of a key for masks.
const MASK_KEY_BYTES_MIN: usize = 16;
/// The user name with which a client of PostgreSQL's protocol sends a token.
const TOKEN_LOGIN: &str = "token";

/// Reads a users file.
pub(super) fn read(file: &Path) -> Result<Policy, Problems> {
    let bytes = read_limited(file).map_err(|error| Problems::unreadable(file, error))?;
    let text = String::from_utf8(bytes)
        .map_err(|_invalid| Problems::unreadable(file, "it is not UTF-8 text"))?;
    parse(file, &text)
}

/// Reads the text of a users file, which names other files beside `file`.
pub(super) fn parse(file: &Path, text: &str) -> Result<Policy, Problems> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| {
            let message = format!("not valid TOML: {}", error.message());
            Problem::new(error.span().unwrap_or(0..0), message)
        })
        .collect();
    if !problems.is_empty() {
        return Err(Problems::new(file, text, problems));
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let policy = policy(table.get_ref(), folder, &mut problems);
    if problems.is_empty() { Ok(policy) } else { Err(Problems::new(file, text, problems)) }
}

fn read_limited(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn policy(entries: &DeTable<'_>, folder: &Path, problems: &mut Vec<Problem>) -> Policy {
    let mut root = Table::root(entries);
    let mut policy = Policy::default();
    let mask_key = root.text("mask_key", problems);
    policy.beside.extend(mask_key.iter().map(|name| folder.join(&name.value)));
    policy.mask_key = mask_key.and_then(|name| read_mask_key(&name, folder, problems));
    let has_key = root.get("mask_key").is_some();
    if let Some(roles) = root.table("roles", problems) {
        for (name, node) in roles.entries() {
            if name.value == ALL_SEEING {
                let message = format!("the role `{ALL_SEEING}` is the program's own");
                let help = "it sees everything: give it to a user, or choose another name";
                problems.push(Problem::new(name.span, message).help(help));
            } else if let Some(role) = role(&name.value, node, has_key, problems) {
                policy.roles.insert(name.value, role);
            }
        }
    }
    let known: Vec<String> = policy.roles.keys().cloned().chain([ALL_SEEING.to_owned()]).collect();
    if let Some(users) = root.table("users", problems) {
        for (name, node) in users.entries() {
            if let Some(account) = account(&name.value, node, &known, problems) {
                policy.users.insert(name.value, account);
            }
        }
    }
    if let Some(jwt) = root.table("jwt", problems) {
        policy.token_settings = tokens(jwt, folder, problems);
    }
    root.finish(problems);
    if let Some(settings) = &policy.token_settings
        && let Some((_, node)) = entries.get_key_value("jwt")
        && policy.users.contains_key(&settings.login)
    {
        let message = format!("`login` of `jwt` is `{}`, which is a user", settings.login);
        let help = "a client that gives this name is asked for a token: choose another";
        problems.push(Problem::new(node.span(), message).help(help));
    }
    policy
}

fn read_mask_key(name: &Text, folder: &Path, problems: &mut Vec<Problem>) -> Option<MaskKey> {
    let file = folder.join(&name.value);
    let wrong = match read_limited(&file) {
        Ok(bytes) if bytes.len() >= MASK_KEY_BYTES_MIN => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
            return Some(MaskKey(Arc::new(key)));
        }
        Ok(bytes) => format!("it has {} bytes", bytes.len()),
        Err(error) => error.to_string(),
    };
    let message = format!("the key of masks can't be read from {}: {wrong}", file.display());
    let help = format!(
        "make a file of at least {MASK_KEY_BYTES_MIN} random bytes beside this one, such as by \
         `head -c 32 /dev/urandom > mask.key`"
    );
    problems.push(Problem::new(name.span.clone(), message).help(help));
    None
}

fn account(
    name: &str,
    node: &Node<'_>,
    roles: &[String],
    problems: &mut Vec<Problem>,
) -> Option<Account> {
    let mut table = Table::new(node, format!("user `{name}`"), problems)?;
    let password = table.required_text("password", "`password = \"SCRAM-SHA-256$…\"`", problems);
    let verifier = password.and_then(|password| match Verifier::parse(&password.value) {
        Ok(verifier) => Some(verifier),
        Err(wrong) => {
            // The text is not shown: it may be the password itself.
            let message = format!("the password of user `{name}` is no verifier: {wrong}");
            let help = "put a verifier here, \"SCRAM-SHA-256$4096:<salt>$<stored>:<server>\", as \
                        PostgreSQL keeps it in pg_authid, never the password itself";
            problems.push(Problem::new(password.span, message).help(help));
            None
        }
    });
    let mut held = Vec::new();
    for role in table.texts("roles", problems) {
        if roles.contains(&role.value) {
            held.push(role.value);
        } else {
            let message =
                format!("user `{name}` has the role `{}`, which is not there", role.value);
            problems.push(Problem::new(role.span, message).help(suggest(&role.value, roles)));
        }
    }
    let mut attributes = BTreeMap::new();
    if let Some(given) = table.table("attributes", problems) {
        for (attribute, node) in given.entries() {
            attributes.insert(attribute.value.clone(), values(&attribute.value, node, problems));
        }
    }
    table.finish(problems);
    Some(Account { verifier: verifier?, roles: held, attributes })
}

/// One value of an attribute, or an array of them.
fn values(attribute: &str, node: &Node<'_>, problems: &mut Vec<Problem>) -> Vec<String> {
    let what = format!("a value of attribute `{attribute}`");
    let nodes: Vec<&Node<'_>> = match node.get_ref() {
        DeValue::Array(elements) => elements.iter().collect(),
        _ => vec![node],
    };
    let mut values = Vec::new();
    for node in nodes {
        let Some(value) = reader::scalar(node, &what, problems) else { continue };
        if value.trim().is_empty() {
            problems.push(Problem::new(node.span(), format!("{what} is blank")));
        } else {
            values.push(value);
        }
    }
    values
}

fn tokens(
    mut table: Table<'_, '_>,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<TokenSettings> {
    let issuer = table.required_text("issuer", "`issuer = \"https://issuer.example\"`", problems);
    let audience = table.required_text("audience", "`audience = \"riskstream\"`", problems);
    let keys = table.required_text("keys", "`keys = \"jwks.json\"`, or an https URL", problems);
    let login = table.text("login", problems).map_or(TOKEN_LOGIN.to_owned(), |text| text.value);
    let name = table.text("name", problems).map_or("sub".to_owned(), |text| text.value);
    let roles = table.text("roles", problems).map_or("roles".to_owned(), |text| text.value);
    let mut attributes = BTreeMap::new();
    if let Some(given) = table.table("attributes", problems) {
        for (attribute, node) in given.entries() {
            let what = format!("the claim of attribute `{}`", attribute.value);
            if let Some(claim) = reader::text(node, &what, problems) {
                attributes.insert(attribute.value, claim.value);
            }
        }
    }
    let allow_owner = table.boolean("allow_owner", problems);
    table.finish(problems);
    let keys = keys.and_then(|keys| keys_at(&keys, folder, problems));
    Some(TokenSettings {
        issuer: issuer?.value,
        audience: audience?.value,
        keys: keys?,
        login,
        name,
        roles,
        attributes,
        allow_owner,
    })
}

fn keys_at(text: &Text, folder: &Path, problems: &mut Vec<Problem>) -> Option<KeysAt> {
    if text.value.contains("://") {
        return match url::Url::parse(&text.value) {
            Ok(url) if url.scheme() == "https" && url.has_host() => Some(KeysAt::Url(url)),
            Ok(_) | Err(_) => {
                let message = format!("the keys can't be at `{}`", text.value);
                let help =
                    "give an https URL, whose answer nobody can change on its way, or a file";
                problems.push(Problem::new(text.span.clone(), message).help(help));
                None
            }
        };
    }
    let file: PathBuf = folder.join(&text.value);
    let read = read_limited(&file)
        .map_err(|error| error.to_string())
        .and_then(|bytes| KeySet::parse(&bytes));
    match read {
        Ok(_) => Some(KeysAt::File(file)),
        Err(wrong) => {
            let message = format!("no keys in {}: {wrong}", file.display());
            let help = "the file has to be a JSON Web Key Set, as issuers publish it";
            problems.push(Problem::new(text.span.clone(), message).help(help));
            None
        }
    }
}

#[cfg(test)]
mod tests;
