//! Where a model comes from, as people write it and as links carry it. The grammar is small on purpose: what is not in
//! it is refused before anything is asked of anybody.
//!
//! ```text
//! hf:owner/name[@revision]   a repository of the Hugging Face Hub
//! ./folder/                  a folder below the page
//! https://host/folder/       a folder on another host
//! local                      files that the visitor picks or drops
//! ```

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The longest address, in bytes.
pub const CAP_ADDRESS: usize = 512;

/// A model address; its `Display` is the one way to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Hub(Repo),
    /// Folder names below the page, outermost first; empty for the page's own folder.
    Folder(Vec<String>),
    Web(Web),
    Local,
}

/// A repository of the Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo {
    pub owner: String,
    pub name: String,
    /// A branch, a tag, `refs/pr/1` or a commit; `None` means `main`.
    pub revision: Option<String>,
}

/// A folder on a host that is not the page's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Lower case, with its port where it has one.
    pub host: String,
    pub folder: Vec<String>,
}

impl Repo {
    /// The revision that is asked for.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }
}

impl fmt::Display for Repo {
    /// `owner/name`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl Address {
    /// The address without a revision.
    pub fn source(&self) -> String {
        match self {
            Address::Hub(repo) => format!("hf:{repo}"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Hub(repo) => {
                write!(f, "hf:{repo}")?;
                repo.revision.iter().try_for_each(|revision| write!(f, "@{revision}"))
            }
            Address::Folder(names) => {
                f.write_str("./")?;
                names.iter().try_for_each(|name| write!(f, "{name}/"))
            }
            Address::Web(web) => {
                write!(f, "https://{}/", web.host)?;
                web.folder.iter().try_for_each(|name| write!(f, "{name}/"))
            }
            Address::Local => f.write_str("local"),
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    /// # Errors
    /// `address.too_long`; `address.scheme` for any other kind of address; `address.repo`, `address.revision`,
    /// `address.folder` and `address.host` for the part that is not allowed.
    fn from_str(text: &str) -> Result<Self> {
        if text.len() > CAP_ADDRESS {
            let message =
                format!("the model address has {} bytes, expected at most {CAP_ADDRESS}", text.len());
            return Err(Error::input("address.too_long", message));
        }
        if text == "local" {
            Ok(Address::Local)
        } else if let Some(repo) = text.strip_prefix("hf:") {
            self::repo(repo).map(Address::Hub)
        } else if let Some(folder) = text.strip_prefix("./") {
            self::folder(folder, text).map(Address::Folder)
        } else if let Some(rest) = text.strip_prefix("https://") {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            Ok(Address::Web(Web { host: self::host(host)?, folder: self::folder(path, text)? }))
        } else {
            Err(Error::input("address.scheme", format!("'{}' is not a model address", shown(text))).with_action(
                "Expected hf:owner/name, ./folder/ below this page, an https:// folder, or local for files of your own.",
            ))
        }
    }
}

/// `owner/name[@revision]`, by the Hub's own rules for names.
fn repo(text: &str) -> Result<Repo> {
    let (id, revision) = match text.split_once('@') {
        Some((id, revision)) => (id, Some(self::revision(revision)?)),
        None => (text, None),
    };
    let named = |name: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let edge = |c| matches!(c, '-' | '.');
        (1..=96).contains(&name.len())
            && name.chars().all(allowed)
            && !(name.starts_with(edge) || name.ends_with(edge))
            && !(name.contains("--") || name.contains("..") || name.ends_with(".git"))
    };
    match id.split_once('/') {
        Some((owner, name)) if named(owner) && named(name) => {
            Ok(Repo { owner: owner.to_owned(), name: name.to_owned(), revision })
        }
        _ => Err(Error::input("address.repo", format!("'{}' is not a repository of the Hub", shown(id)))
            .with_action("Expected owner/name, such as openai-community/gpt2.")),
    }
}

/// A name that git allows, and that no reader takes for a path upwards or for a query.
fn revision(text: &str) -> Result<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.');
    let named = (1..=128).contains(&text.len())
        && text.chars().all(allowed)
        && text.split('/').all(part)
        && !text.contains("..");
    if named {
        return Ok(text.to_owned());
    }
    Err(Error::input("address.revision", format!("'{}' is not a revision", shown(text)))
        .with_action("Expected a branch, a tag, refs/pr/1 or a commit of 40 hexadecimal digits."))
}

/// Folder names between slashes. Letters of any script, digits, spaces and `-._~+`; no name starts or ends with a dot, so
/// that none leads upwards or to a hidden file, and no escape is read twice.
fn folder(path: &str, whole: &str) -> Result<Vec<String>> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let named = |name: &&str| {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '+' | ' ');
        let edge = |c| matches!(c, '.' | ' ');
        !name.is_empty() && name.chars().all(allowed) && !name.starts_with(edge) && !name.ends_with(edge)
    };
    match path.split('/').find(|name| !named(name)) {
        None => Ok(path.split('/').map(str::to_owned).collect()),
        Some(name) => {
            let message = format!("'{}': '{}' is not a folder's name", shown(whole), shown(name));
            Err(Error::input("address.folder", message)
                .with_action("Expected names of letters, digits, spaces and -._~+ between slashes."))
        }
    }
}

/// A name, or four numbers, and maybe a port: no user, no password, no brackets.
fn host(text: &str) -> Result<String> {
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(allowed)
            && !(label.starts_with('-') || label.ends_with('-'))
    };
    let port_named =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
    if name.len() <= 253 && name.split('.').all(label) && port.is_none_or(port_named) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Error::input("address.host", format!("'{}' is not a host", shown(text)))
        .with_action("Expected https://host/folder/, without a user or a password."))
}

/// Text for a message: 60 characters of it, and nothing that acts on the text around it.
fn shown(text: &str) -> String {
    let plain =
        |c: char| if c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ' { c } else { '\u{fffd}' };
    text.chars().take(60).map(plain).collect()
}

/// `text` with every byte that is not of a plain name escaped for a URL. `/` is escaped too.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `scheme://host[:port]` of a URL that has these, in lower case.
pub fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.rsplit('@').next()?;
    (!host.is_empty()).then(|| format!("{scheme}://{host}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
