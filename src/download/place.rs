//! Where a model's files lie: their URLs, what lists them, and who may answer for them.

use super::content::Kind;
use super::presets::Preset;
use super::response::{Promise, Redirects};
use super::transfer::{Piece, Wanted};
use super::wanted::{Catalog, Entry, Role};
use super::{FileInfo, Spec};
use crate::address::{Address, Folder, Repo, escape};
use crate::error::{Error, Result};
use crate::tokens::CAP_FILE;
use crate::weights::Format;
use crate::weights::manifest::{CAP_MANIFEST, MANIFEST, Manifest};
use serde::Deserialize;

/// The Hub.
const HUB: &str = "https://huggingface.co";

/// The largest `config.json`, in bytes: as its reader has it.
const CAP_CONFIG: u64 = 1 << 20;
/// The largest index of shards, and the largest answer about a repository.
const CAP_LISTING: u64 = 25_000_000;

/// A repository or a folder.
pub struct Place {
    address: Address,
    /// The Hub or a mirror, without a slash at its end; or the folder, with one.
    base: String,
    redirects: Redirects,
    /// What files are asked for at; empty for a folder.
    pub revision: String,
}

impl Place {
    pub fn new(spec: &Spec) -> Result<Self> {
        let address: Address = spec.address.parse()?;
        let folder = |base: &str, folder: &Folder| {
            folder.names.iter().fold(base.to_owned(), |url, name| format!("{url}{}/", escape(name)))
        };
        let (base, redirects, revision) = match &address {
            Address::Local => {
                return Err(Error::input(
                    "address.local",
                    "files that are picked or dropped are not downloaded",
                ));
            }
            Address::Hub(repo) => {
                let base = spec.endpoint.as_deref().unwrap_or(HUB).trim_end_matches('/');
                if !(base.starts_with("https://") || base.starts_with("http://")) {
                    return Err(Error::input(
                        "address.endpoint",
                        format!("'{base}' is not an http(s) address"),
                    ));
                }
                let rule = if base == HUB { Redirects::Hub } else { Redirects::Mirror };
                (base.to_owned(), rule, repo.revision().to_owned())
            }
            Address::Folder(below) => {
                let base = spec.base.as_deref().and_then(|base| base.rsplit_once('/')).map(|(base, _)| base);
                let base = base.filter(|base| base.contains("://")).ok_or_else(|| {
                    Error::input(
                        "address.base",
                        format!("'{address}' is a folder below a page, and there is no page"),
                    )
                })?;
                (folder(&format!("{base}/"), below), Redirects::SameOrigin, String::new())
            }
            Address::Web(web) => {
                if spec.consent.as_deref() != Some(web.host.as_str()) {
                    return Err(Error::input(
                        "address.consent",
                        format!("nobody agreed to ask {}", web.host),
                    )
                    .with_action("Agree to it first: that host will see your address."));
                }
                (folder(&format!("https://{}/", web.host), &web.folder), Redirects::SameOrigin, String::new())
            }
        };
        Ok(Self { address, base, redirects, revision })
    }

    pub fn source(&self) -> String {
        self.address.source()
    }

    /// The checkpoint that is asked for.
    pub fn step(&self) -> Option<u64> {
        self.address.step()
    }

    fn known(&self) -> Option<&'static Preset> {
        let Address::Hub(repo) = &self.address else { return None };
        Preset::find(&repo.to_string(), &self.revision)
    }

    /// The files of a repository at a commit, where all that is needed is known beforehand.
    pub fn preset(&self) -> Option<Catalog> {
        let preset = self.known().filter(|preset| preset.is_complete())?;
        let files = preset.files.iter().map(|file| {
            let entry = Entry { size: file.size, hash: Promise::from_hex(file.hash), parts: Vec::new() };
            (file.name.to_owned(), entry)
        });
        Some(Catalog { files: files.collect(), ..Catalog::default() })
    }

    /// Reads what lists the files; `None` where a mirror answers with something else.
    ///
    /// # Errors
    /// `file.manifest` for a folder's manifest that is none.
    pub fn read_listing(&mut self, json: &[u8]) -> Result<Option<Catalog>> {
        let Address::Hub(_) = self.address else {
            return Manifest::from_json(json)
                .map_err(|e| e.at(self.source()))
                .map(|manifest| Some(packed(&manifest)));
        };
        let catalog = repository(json);
        if let Some(commit) = catalog.as_ref().and_then(|catalog| catalog.commit.clone()) {
            // `main` may move while its files are fetched; a commit does not.
            self.revision = commit;
        }
        Ok(catalog)
    }

    /// What is to be fetched for a file of this name.
    pub fn wanted(&self, role: Role, name: &str, entry: Option<&Entry>, optional: bool) -> Wanted {
        let kind = match role {
            Role::Listing if self.revision.is_empty() => Kind::Json { cap: CAP_MANIFEST },
            Role::Listing | Role::Index(_) => Kind::Json { cap: CAP_LISTING },
            Role::Config => Kind::Json { cap: CAP_CONFIG },
            Role::Tokenizer | Role::Vocab => Kind::Json { cap: CAP_FILE },
            Role::Merges => Kind::Text { cap: CAP_FILE },
            Role::Weights(format) | Role::Shard(format) => match format {
                Format::Safetensors => Kind::Weights,
                Format::Torch => Kind::Torch,
            },
            Role::Difference => Kind::Weights,
        };
        let size = entry.and_then(|entry| entry.size);
        let pieces = match entry {
            Some(entry) if !entry.parts.is_empty() => {
                entry.parts.iter().map(|(part, len)| Piece { url: self.url(part), len: Some(*len) }).collect()
            }
            _ if role == Role::Listing => vec![Piece { url: self.listing_url(), len: None }],
            _ => vec![Piece { url: self.url(name), len: size }],
        };
        let name = if role == Role::Listing { self.listing_name() } else { name.to_owned() };
        // What is published of a preset counts, whatever a list says.
        let known = self.known().and_then(|preset| preset.promise(&name));
        let promise = known.or_else(|| entry.and_then(|entry| entry.hash.clone()));
        let sha256 = promise.as_ref().and_then(Promise::sha256).map(str::to_owned);
        let info = FileInfo { name, source: self.source(), revision: self.revision.clone(), size, sha256 };
        let pinned = is_commit(&self.revision);
        Wanted { info, promise, kind, pieces, optional, pinned, redirects: self.redirects }
    }

    fn url(&self, name: &str) -> String {
        match &self.address {
            Address::Hub(Repo { owner, name: repo, .. }) => {
                format!("{}/{owner}/{repo}/resolve/{}/{}", self.base, escape(&self.revision), escape(name))
            }
            _ => format!("{}{}", self.base, escape(name)),
        }
    }

    fn listing_url(&self) -> String {
        match &self.address {
            Address::Hub(repo) => {
                format!("{}/api/models/{repo}/revision/{}?blobs=true", self.base, escape(&self.revision))
            }
            _ => self.url(MANIFEST),
        }
    }

    fn listing_name(&self) -> String {
        match &self.address {
            Address::Hub(_) => "list of files".into(),
            _ => MANIFEST.into(),
        }
    }
}

/// Whether a revision is a commit.
fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The Hub's answer about a repository, asked with `blobs=true`: files of its large-file storage come with their SHA-256.
fn repository(json: &[u8]) -> Option<Catalog> {
    #[derive(Deserialize)]
    struct Model {
        sha: Option<String>,
        siblings: Vec<Sibling>,
    }
    #[derive(Deserialize)]
    struct Sibling {
        rfilename: String,
        size: Option<u64>,
        /// Git's hash of the file, or of the pointer that stands for it where there is `lfs`.
        #[serde(rename = "blobId")]
        blob_id: Option<String>,
        lfs: Option<Lfs>,
    }
    #[derive(Deserialize)]
    struct Lfs {
        sha256: Option<String>,
        oid: Option<String>,
        size: Option<u64>,
    }
    let model: Model = serde_json::from_slice(json).ok()?;
    let files = model.siblings.into_iter().map(|file| {
        let lfs_size = file.lfs.as_ref().and_then(|lfs| lfs.size);
        let size = file.size.or(lfs_size).filter(|size| *size < 1 << 53);
        let hash = match file.lfs {
            Some(lfs) => lfs.sha256.or(lfs.oid),
            None => file.blob_id,
        };
        let hash = hash.and_then(|hash| Promise::from_hex(&hash));
        (file.rfilename, Entry { size, hash, parts: Vec::new() })
    });
    let commit = model.sha.filter(|sha| is_commit(sha));
    Some(Catalog { files: files.collect(), commit, checkpoints: Vec::new() })
}

fn packed(manifest: &Manifest) -> Catalog {
    let files = manifest.files.iter().map(|file| {
        let parts = file.parts.iter().map(|part| (part.name.clone(), part.size)).collect();
        let entry = Entry { size: Some(file.size), hash: Promise::from_hex(&file.sha256), parts };
        (file.name.clone(), entry)
    });
    let checkpoints = manifest.checkpoints.clone();
    Catalog { files: files.collect(), commit: None, checkpoints }
}

#[cfg(test)]
mod tests;
