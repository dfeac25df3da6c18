//! Whether the tensors of some files are those of a configuration.

use super::Tensor;
use crate::config::Config;
use crate::weights::Weight;
use crate::weights::header::Header;
use crate::weights::names::{self, HEAD, PREFIX};
use std::collections::BTreeMap;

/// One tensor for each row of the table, and what is wrong with the others: shapes and types, missing
/// tensors and unexpected ones by turns, so that the first five differences show each sort. The tensors
/// are complete only where there is no difference.
pub(super) fn match_tensors(
    cfg: &Config,
    rows: &[(String, Vec<Weight>)],
    headers: &[(usize, Header)],
) -> (Vec<Tensor>, Vec<String>) {
    let (mut wrong, mut missing, mut unexpected) = (Vec::new(), Vec::new(), Vec::new());
    let mut stored = BTreeMap::new();
    for (file, header) in headers {
        for (name, info) in &header.tensors {
            let short = names::short(name);
            let tied_head = name == HEAD && cfg.tie_word_embeddings;
            if names::buffer(name).is_some() || tied_head {
                continue;
            }
            let bytes = header.data_start + info.start..header.data_start + info.end;
            let (name, dtype, shape) = (name.clone(), info.dtype, info.shape.clone());
            if stored.insert(short, Tensor { name, file: *file, dtype, shape, bytes }).is_some() {
                unexpected.push(format!("'{short}' is there with and without the prefix '{PREFIX}'"));
            }
        }
    }
    let mut found = Vec::with_capacity(rows.len());
    for (name, parts) in rows {
        let expected = names::stored_shape(cfg, parts);
        let Some(tensor) = stored.remove(name.as_str()) else {
            missing.push(format!("'{name}' {expected:?} is missing"));
            continue;
        };
        let (shape, dtype) = (&tensor.shape, tensor.dtype);
        let longer = parts[..] == [Weight::PosEmbed] && shape[..].first() > expected.first();
        let fits = if longer { shape.get(1..) == expected.get(1..) } else { *shape == expected };
        if !fits {
            wrong.push(format!("'{}' has shape {shape:?}, expected {expected:?}", tensor.name));
        } else if !dtype.is_float() {
            wrong.push(format!("'{}' is {dtype}, expected F32, F16 or BF16", tensor.name));
        }
        found.push(tensor);
    }
    unexpected.extend(stored.values().map(|t| format!("'{}' {:?} is unexpected", t.name, t.shape)));
    (found, by_turns([wrong, missing, unexpected]))
}

/// One of each list, then the next of each, until all are empty.
fn by_turns(lists: [Vec<String>; 3]) -> Vec<String> {
    let mut lists = lists.map(Vec::into_iter);
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(lists.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}
