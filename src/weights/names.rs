//! Hugging Face's names of GPT-2's tensors, and the weights that each holds. No other place knows these names.
//!
//! GPT-2's linear layers are `Conv1D`s: `y = x W + b` with `W: [in, out]`, which is the layout of
//! [`Weight::shape`] already. `c_attn` holds `W_Q | W_K | W_V` side by side and is split by columns.

use super::{Part, Weight};
use crate::config::Config;

/// The tensors of layer `N`, after `h.N.`, and the weights that they hold side by side.
const BLOCK: [(&str, &[Part]); 12] = [
    ("ln_1.weight", &[Part::Ln1W]),
    ("ln_1.bias", &[Part::Ln1B]),
    ("attn.c_attn.weight", &[Part::WQ, Part::WK, Part::WV]),
    ("attn.c_attn.bias", &[Part::BQ, Part::BK, Part::BV]),
    ("attn.c_proj.weight", &[Part::WO]),
    ("attn.c_proj.bias", &[Part::BO]),
    ("ln_2.weight", &[Part::Ln2W]),
    ("ln_2.bias", &[Part::Ln2B]),
    ("mlp.c_fc.weight", &[Part::WIn]),
    ("mlp.c_fc.bias", &[Part::BIn]),
    ("mlp.c_proj.weight", &[Part::WOut]),
    ("mlp.c_proj.bias", &[Part::BOut]),
];

/// The prefix that some checkpoints put before every name but that of the head.
pub const PREFIX: &str = "transformer.";
/// The unembedding, stored only where it is not the embedding.
pub const HEAD: &str = "lm_head.weight";

/// A stored name without the prefix.
pub fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Constants that some checkpoints carry beside their weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// `h.N.attn.bias`, the causal mask: `[1, 1, n_ctx, n_ctx]`, ones on and below the diagonal.
    Mask,
    /// `h.N.attn.masked_bias`: the number that stands for minus infinity.
    MaskedBias,
}

/// Which constant a stored name means, with or without the prefix; `None` for a weight.
pub fn buffer(name: &str) -> Option<Buffer> {
    let (layer, rest) = short(name).strip_prefix("h.")?.split_once('.')?;
    let digits = !layer.is_empty() && layer.bytes().all(|b| b.is_ascii_digit());
    match rest {
        "attn.bias" if digits => Some(Buffer::Mask),
        "attn.masked_bias" if digits => Some(Buffer::MaskedBias),
        _ => None,
    }
}

/// Every stored tensor of a model with the weights in it, in the order of the forward pass.
pub fn table(cfg: &Config) -> Vec<(String, Vec<Weight>)> {
    let one = |name: &str, weight| (name.to_owned(), vec![weight]);
    let mut rows = vec![one("wte.weight", Weight::Embed), one("wpe.weight", Weight::PosEmbed)];
    for layer in 0..cfg.n_layers {
        rows.extend(BLOCK.iter().map(|(name, parts)| {
            let weights = parts.iter().map(|part| Weight::Block(layer, *part)).collect();
            (format!("h.{layer}.{name}"), weights)
        }));
    }
    rows.push(one("ln_f.weight", Weight::LnFinalW));
    rows.push(one("ln_f.bias", Weight::LnFinalB));
    if !cfg.tie_word_embeddings {
        rows.push(one(HEAD, Weight::Unembed));
    }
    rows
}

/// The shape as stored: the weights stand side by side in the last dimension.
pub fn stored_shape(cfg: &Config, parts: &[Weight]) -> Vec<u64> {
    let first = parts.first().map(|weight| weight.shape(cfg)).unwrap_or_default();
    let mut shape: Vec<u64> = first.into_iter().map(|dim| dim as u64).collect();
    if let Some(last) = shape.last_mut() {
        *last *= parts.len() as u64;
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_buffers_are_masks() {
        for (name, expected) in [
            ("h.0.attn.bias", Some(Buffer::Mask)),
            ("transformer.h.11.attn.bias", Some(Buffer::Mask)),
            ("h.0.attn.masked_bias", Some(Buffer::MaskedBias)),
            ("transformer.h.3.attn.masked_bias", Some(Buffer::MaskedBias)),
            ("h.0.attn.c_attn.bias", None),
            ("h..attn.bias", None),
            ("h.+1.attn.bias", None),
            ("h.0.crossattention.bias", None),
            ("model.h.0.attn.bias", None),
            ("transformer.transformer.h.0.attn.bias", None),
        ] {
            assert_eq!(buffer(name), expected, "{name}");
        }
    }
}
