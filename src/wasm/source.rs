//! A model's files as the page has them: blobs, each a file of the browser's storage, of the visitor's disk or of memory.

use crate::error::{Error, Result};
use crate::weights::source::{Read, Source, SourceFile};
use js_sys::{Array, Reflect, Uint8Array};
use std::ops::Range;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

/// Blobs, read a slice at a time.
pub struct Blobs {
    files: Vec<SourceFile>,
    blobs: Vec<Blob>,
}

impl Blobs {
    /// From `ModelFile[]` of `www/engine.d.ts`.
    ///
    /// # Errors
    /// `file.unreadable` for what is no such list.
    pub fn new(files: &JsValue) -> Result<Self> {
        let list =
            files.dyn_ref::<Array>().ok_or_else(|| unreadable("a model's files", "expected a list"))?;
        let (mut files, mut blobs) = (Vec::new(), Vec::new());
        for file in list.iter() {
            let field = |name: &str| Reflect::get(&file, &name.into()).unwrap_or(JsValue::UNDEFINED);
            let name = field("name").as_string().unwrap_or_default();
            let blob = field("blob").dyn_into::<Blob>().map_err(|_| unreadable(&name, "expected a blob"))?;
            // A double holds every size of a file exactly, up to 2^53.
            files.push(SourceFile { name, len: blob.size() as u64, sha256: field("sha256").as_string() });
            blobs.push(blob);
        }
        Ok(Self { files, blobs })
    }

    async fn slice(&self, file: usize, range: Range<u64>) -> Result<Vec<u8>> {
        let (Some(blob), Some(SourceFile { name, .. })) = (self.blobs.get(file), self.files.get(file)) else {
            return Err(Error::internal("no such file"));
        };
        let failed = |why: JsValue| unreadable(name, &format!("{why:?}"));
        let slice = blob.slice_with_f64_and_f64(range.start as f64, range.end as f64).map_err(failed)?;
        let bytes = JsFuture::from(slice.array_buffer()).await.map_err(failed)?;
        let bytes = Uint8Array::new(&bytes).to_vec();
        let wanted = range.end - range.start;
        if bytes.len() as u64 != wanted {
            return Err(unreadable(
                name,
                &format!("expected {wanted} bytes from {}, found {}", range.start, bytes.len()),
            ));
        }
        Ok(bytes)
    }
}

impl Source for Blobs {
    fn files(&self) -> &[SourceFile] {
        &self.files
    }

    fn read(&self, file: usize, range: Range<u64>) -> Read<'_> {
        Box::pin(self.slice(file, range))
    }
}

fn unreadable(name: &str, why: &str) -> Error {
    Error::input("file.unreadable", format!("{name}: {why}"))
        .with_action("Open the model again: its file was changed, moved or removed.")
}
