//! Where a model comes from, as people write it and as links carry it. The grammar is small on purpose: what is not in
//! it is refused before anything is asked of anybody.
//!
//! ```text
//! hf:owner/name[@revision]   a repository of the Hugging Face Hub
//! ./folder/                  a folder below the page
//! ./folder/@1300             step 1,300 of the training of the model in that folder
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
    /// Below the page.
    Folder(Folder),
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
    pub folder: Folder,
}

/// A folder that holds a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Outermost first; empty for the page's or the host's own folder.
    pub names: Vec<String>,
    /// A checkpoint of the model's training.
    pub step: Option<u64>,
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.names.iter().try_for_each(|name| write!(f, "{name}/"))?;
        self.step.iter().try_for_each(|step| write!(f, "@{step}"))
    }
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
    /// The address without a revision or a step.
    pub fn source(&self) -> String {
        match self.clone() {
            Address::Hub(repo) => format!("hf:{repo}"),
            Address::Folder(folder) => Address::Folder(Folder { step: None, ..folder }).to_string(),
            Address::Web(Web { host, folder }) => {
                Address::Web(Web { host, folder: Folder { step: None, ..folder } }).to_string()
            }
            Address::Local => Address::Local.to_string(),
        }
    }

    /// The step of a folder's checkpoint.
    pub fn step(&self) -> Option<u64> {
        match self {
            Address::Folder(folder) | Address::Web(Web { folder, .. }) => folder.step,
            Address::Hub(_) | Address::Local => None,
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
            Address::Folder(folder) => write!(f, "./{folder}"),
            Address::Web(Web { host, folder }) => write!(f, "https://{host}/{folder}"),
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

/// Folder names between slashes, and maybe `@` and the number of a step. Letters of any script, digits, spaces and `-._~+`; no name starts or ends with a dot, so
/// that none leads upwards or to a hidden file, and no escape is read twice.
fn folder(path: &str, whole: &str) -> Result<Folder> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let last = path.rsplit_once('/').map_or(("", path), |(before, last)| (before, last));
    let (path, step) = match last.1.strip_prefix('@') {
        Some(step) => (last.0, Some(self::step(step, whole)?)),
        None => (path, None),
    };
    if path.is_empty() {
        return Ok(Folder { names: Vec::new(), step });
    }
    let named = |name: &&str| {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '+' | ' ');
        let edge = |c| matches!(c, '.' | ' ');
        !name.is_empty() && name.chars().all(allowed) && !name.starts_with(edge) && !name.ends_with(edge)
    };
    match path.split('/').find(|name| !named(name)) {
        None => Ok(Folder { names: path.split('/').map(str::to_owned).collect(), step }),
        Some(name) => {
            let message = format!("'{}': '{}' is not a folder's name", shown(whole), shown(name));
            Err(Error::input("address.folder", message)
                .with_action("Expected names of letters, digits, spaces and -._~+ between slashes."))
        }
    }
}

/// A step: digits, without zeros in front, so that each has one way to be written.
fn step(text: &str, whole: &str) -> Result<u64> {
    let digits = (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(step) if digits && (text == "0" || !text.starts_with('0')) => Ok(step),
        _ => Err(Error::input(
            "address.folder",
            format!("'{}': '@{}' is not a step", shown(whole), shown(text)),
        )
        .with_action("Expected @ and the number of a step of training.")),
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
