//! The download's decisions for `www/download.js`; `www/engine.d.ts` declares them.

use super::{error_to_js, json, set, to_js};
use crate::address::Address;
use crate::download::{FailureKind, Manifest, Response, Spec, Step};
use crate::error::{Error, Result};
use crate::weights::manifest::hex;
use js_sys::Uint8Array;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;

type Js<T> = std::result::Result<T, JsValue>;

/// Reads a model address.
#[wasm_bindgen(js_name = parseAddress)]
pub fn parse_address(text: &str) -> Js<JsValue> {
    #[derive(Serialize)]
    struct Parsed<'a> {
        kind: &'a str,
        text: String,
        host: Option<&'a str>,
        repo: Option<String>,
        revision: Option<&'a str>,
        step: Option<u64>,
    }
    let parsed = || -> Result<JsValue> {
        let address: Address = text.parse()?;
        let (text, step) = (address.to_string(), address.step());
        to_js(&match &address {
            Address::Hub(repo) => Parsed {
                kind: "hub",
                text,
                host: None,
                repo: Some(repo.to_string()),
                revision: repo.revision.as_deref(),
                step,
            },
            Address::Folder(_) => {
                Parsed { kind: "folder", text, host: None, repo: None, revision: None, step }
            }
            Address::Web(web) => {
                Parsed { kind: "web", text, host: Some(&web.host), repo: None, revision: None, step }
            }
            Address::Local => Parsed { kind: "local", text, host: None, repo: None, revision: None, step },
        })
    };
    parsed().map_err(|e| error_to_js(&e))
}

#[wasm_bindgen]
pub struct Download {
    inner: crate::download::Download,
}

#[wasm_bindgen]
impl Download {
    #[wasm_bindgen(constructor)]
    pub fn new(spec: JsValue) -> Js<Download> {
        let open = || crate::download::Download::new(&read::<Spec>(&spec, "the download's options")?);
        open().map(|inner| Self { inner }).map_err(|e| error_to_js(&e))
    }

    pub fn next(&mut self) -> Js<JsValue> {
        let step = self.inner.step();
        let js = || -> Result<JsValue> {
            let js = to_js(&step)?;
            match &step {
                Step::Write { bytes, .. } => set(&js, "bytes", &Uint8Array::from(bytes.as_slice()))?,
                Step::Fail { error } => set(&js, "error", &error_to_js(error))?,
                _ => {}
            }
            Ok(js)
        };
        js().map_err(|e| error_to_js(&e))
    }

    /// `have` is a length in bytes.
    pub fn opened(&mut self, have: f64, note: Option<String>, complete: bool) {
        self.inner.opened(have as u64, note.as_deref(), complete);
    }

    pub fn response(&mut self, response: JsValue) -> Js<()> {
        let response = read::<Response>(&response, "a response").map_err(|e| error_to_js(&e))?;
        self.inner.response(&response);
        Ok(())
    }

    pub fn bytes(&mut self, chunk: &[u8]) -> Js<JsValue> {
        #[derive(Serialize)]
        struct Part {
            at: u64,
            from: usize,
            to: usize,
            more: bool,
        }
        let part = self.inner.bytes(chunk);
        to_js(&Part { at: part.at, from: 0, to: part.to, more: part.more }).map_err(|e| error_to_js(&e))
    }

    pub fn end(&mut self) {
        self.inner.end();
    }

    pub fn failed(&mut self, kind: &str, detail: &str) -> Js<()> {
        let kind: FailureKind = serde_json::from_value(kind.into())
            .map_err(|e| error_to_js(&Error::internal(format!("a failure of a download: {e}"))))?;
        self.inner.failed(kind, detail);
        Ok(())
    }

    pub fn progress(&self) -> Js<JsValue> {
        to_js(&self.inner.progress()).map_err(|e| error_to_js(&e))
    }
}

/// Reads the manifest of a packed folder, `microtome.json`.
#[wasm_bindgen(js_name = readManifest)]
pub fn read_manifest(json: &[u8]) -> Js<JsValue> {
    Manifest::from_json(json).and_then(|manifest| to_js(&manifest)).map_err(|e| error_to_js(&e))
}

/// SHA-256, piece by piece.
#[wasm_bindgen]
#[derive(Default)]
pub struct Hasher {
    inner: Sha256,
}

#[wasm_bindgen]
impl Hasher {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn update(&mut self, chunk: &[u8]) {
        self.inner.update(chunk);
    }

    /// Of what came so far, in lower-case hexadecimal.
    pub fn hex(&self) -> String {
        hex(&self.inner.clone().finalize())
    }
}

fn read<T: DeserializeOwned>(value: &JsValue, what: &str) -> Result<T> {
    serde_json::from_value(json(value)?).map_err(|e| Error::internal(format!("{what}: {e}")))
}
