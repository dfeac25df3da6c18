//! Reading the files that tests/golden/make_golden.py wrote.

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One model under one processing, or one model's head detectors.
#[derive(Deserialize)]
pub struct Golden {
    /// The file's own name.
    #[serde(skip)]
    pub name: String,
    /// Folder, from the repository's root.
    pub model: PathBuf,
    pub weights_sha256: String,
    pub cases: Vec<Case>,
    /// `PROMPT/HOOK` to shape and values, for the trace case.
    #[serde(skip)]
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

#[derive(Clone, Deserialize)]
pub struct Case {
    pub name: String,
    pub experiment: Value,
    pub expected: Value,
}

impl Golden {
    /// Names of all golden files, sorted.
    pub fn files() -> Vec<String> {
        let names = std::fs::read_dir(folder()).expect("tests/golden").map(|entry| {
            entry.expect("tests/golden").file_name().into_string().expect("a golden file's name is UTF-8")
        });
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".json")).collect();
        names.sort();
        names
    }

    pub fn load(name: &str) -> Self {
        let text = std::fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut golden: Golden = serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        golden.name = name.to_owned();
        let Some(trace) = golden.trace() else { return golden };
        let tensors = trace.expected["tensors"].as_str().expect("a trace names its tensors").to_owned();
        let bytes = std::fs::read(folder().join(&tensors)).unwrap_or_else(|e| panic!("{tensors}: {e}"));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{tensors}: {e}"));
        golden.tensors = file
            .iter()
            .map(|(name, view)| {
                assert_eq!(view.dtype(), Dtype::F32, "{tensors}: {name}");
                let data = view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect();
                (name.to_owned(), (view.shape().to_vec(), data))
            })
            .collect();
        golden
    }

    /// The one trace of the file; none in a file of head detectors.
    pub fn trace(&self) -> Option<&Case> {
        let trace = self.cases.iter().find(|case| case.experiment["kind"] == "trace");
        assert!(trace.is_some() || self.name.ends_with(".detect.json"), "{}: no trace", self.name);
        trace
    }
}

fn folder() -> PathBuf {
    Path::new(ROOT).join("tests/golden")
}
