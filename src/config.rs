//! The sizes and switches of a GPT-2-shaped model, read from `config.json`.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The activation of the MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActFn {
    /// `0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))`: GPT-2's own.
    GeluNew,
    /// `0.5 x (1 + erf(x / √2))`
    Gelu,
    Relu,
}

/// Hugging Face's names of the activations (`transformers/activations.py`): several write one formula differently.
const ACTIVATIONS: [(&str, ActFn); 7] = [
    ("gelu_new", ActFn::GeluNew),
    ("gelu_fast", ActFn::GeluNew),
    ("gelu_pytorch_tanh", ActFn::GeluNew),
    ("gelu_accurate", ActFn::GeluNew),
    ("gelu", ActFn::Gelu),
    ("gelu_python", ActFn::Gelu),
    ("relu", ActFn::Relu),
];

/// Why models of other kinds cannot be run as GPT-2, by how their `model_type` starts; the first that fits.
const OTHERS: [(&str, &str); 15] = [
    ("gpt_neox", "its positions are rotary and its attention and MLP read the same input"),
    ("gpt_neo", "half of its layers see only the last tokens and its scores are not scaled"),
    ("gptj", "its positions are rotary and its attention and MLP read the same input"),
    ("gpt_bigcode", "its heads share one key and one value"),
    ("llama", ROTARY),
    ("mistral", ROTARY),
    ("mixtral", ROTARY),
    ("qwen", ROTARY),
    ("gemma", ROTARY),
    ("phi", ROTARY),
    ("bloom", "it has no position embeddings, its scores fall with distance instead"),
    ("opt", "its positions start at 2 and its weights are laid out otherwise"),
    ("mamba", "it has no attention"),
    ("t5", "it is an encoder with a decoder"),
    ("bert", "its attention looks both ways"),
];
const ROTARY: &str = "its positions are rotary and its norms and MLPs are of other kinds";

/// Sizes under TransformerLens' names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    pub n_layers: usize,
    pub n_heads: usize,
    pub d_model: usize,
    pub d_head: usize,
    pub d_mlp: usize,
    pub d_vocab: usize,
    pub n_ctx: usize,
    pub act_fn: ActFn,
    /// LayerNorm's epsilon.
    pub eps: f32,
    /// Divide the attention scores of layer `l` by `l + 1` as well (stanford-crfm's models).
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Divide the attention scores by `sqrt(d_head)`; always on in published GPT-2 models.
    pub scale_attn_weights: bool,
    pub tie_word_embeddings: bool,
    /// The token put before a text prompt, where the configuration names one.
    pub bos_token_id: Option<u32>,
}

/// `config.json` as Hugging Face writes it; only the fields that change the numbers.
#[derive(Deserialize)]
struct HfConfig {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
    n_layer: Option<u64>,
    n_head: Option<u64>,
    n_embd: Option<u64>,
    n_inner: Option<u64>,
    n_positions: Option<u64>,
    n_ctx: Option<u64>,
    vocab_size: Option<u64>,
    activation_function: Option<String>,
    layer_norm_epsilon: Option<f64>,
    scale_attn_by_inverse_layer_idx: Option<bool>,
    scale_attn_weights: Option<bool>,
    tie_word_embeddings: Option<bool>,
    add_cross_attention: Option<bool>,
    bos_token_id: Option<u32>,
    /// TransformerLens' name of `n_embd`: its own toy models have it.
    d_model: Option<serde::de::IgnoredAny>,
}

/// What a size may be at most: far above every GPT-2, far below what would exhaust memory by itself.
const CAPS: [(&str, u64); 6] = [
    ("n_layer", 64),
    ("n_head", 256),
    ("n_embd", 8192),
    ("n_inner", 65_536),
    ("n_positions", 65_536),
    ("vocab_size", 300_000),
];

impl Config {
    /// The sizes, as people compare them.
    pub fn shape(&self) -> String {
        let Self { n_layers, n_heads, d_model, d_mlp, d_vocab, n_ctx, .. } = self;
        format!(
            "{n_layers} layers of {n_heads} heads, d_model {d_model}, d_mlp {d_mlp}, d_vocab {d_vocab}, n_ctx {n_ctx}"
        )
    }

    /// Reads `config.json`.
    ///
    /// # Errors
    /// `model.config` when it is not JSON or a size is absent or absurd; `model.unsupported` with up to
    /// five differences when it describes something other than GPT-2.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        const CAP_BYTES: usize = 1 << 20;
        if bytes.len() > CAP_BYTES {
            return Err(Error::input(
                "model.config",
                format!("config.json has {} bytes; at most {CAP_BYTES} are read", bytes.len()),
            ));
        }
        let hf: HfConfig = serde_json::from_slice(bytes).map_err(|e| {
            Error::input("model.config", format!("config.json is not a model configuration: {e}"))
        })?;
        hf.check_architecture()?;
        hf.into_config()
    }

    /// The scale that attention scores of `layer` are multiplied by.
    pub fn attn_scale(&self, layer: usize) -> f32 {
        let by_head = if self.scale_attn_weights { (self.d_head as f32).sqrt() } else { 1.0 };
        let by_layer = if self.scale_attn_by_inverse_layer_idx { (layer + 1) as f32 } else { 1.0 };
        1.0 / (by_head * by_layer)
    }

    /// Number of parameters, the unembedding counted only where it is stored separately.
    pub fn n_params(&self) -> u64 {
        let (d, m) = (self.d_model as u64, self.d_mlp as u64);
        let per_layer = 4 * (d * d + d) + 2 * d * m + m + d + 4 * d;
        let tables = (self.d_vocab as u64 + self.n_ctx as u64) * d;
        let head = if self.tie_word_embeddings { 0 } else { self.d_vocab as u64 * d };
        self.n_layers as u64 * per_layer + tables + 2 * d + head
    }
}

impl HfConfig {
    fn check_architecture(&self) -> Result<()> {
        let mut differences = Vec::new();
        if let Some(kind) = self.model_type.as_deref().filter(|kind| *kind != "gpt2") {
            let why = OTHERS.iter().find(|(other, _)| kind.starts_with(other));
            let why = why.map(|(_, why)| format!(" ({why})")).unwrap_or_default();
            differences.push(format!("model_type is '{}', expected 'gpt2'{why}", start_of(kind)));
        }
        if self.d_model.is_some() && self.n_embd.is_none() {
            let found = "it has 'd_model', as TransformerLens' own toy models have";
            differences.push(format!("{found}; expected Hugging Face's names, of weights too"));
        }
        for name in self.architectures.iter().flatten().filter(|name| !name.starts_with("GPT2")) {
            differences.push(format!("architectures has '{}', expected 'GPT2LMHeadModel'", start_of(name)));
        }
        for (name, value) in [("n_layer", self.n_layer), ("n_head", self.n_head), ("n_embd", self.n_embd)] {
            if value.is_none() {
                differences.push(format!("'{name}' is absent"));
            }
        }
        if self.add_cross_attention == Some(true) {
            differences.push("add_cross_attention is true, expected false".into());
        }
        if differences.is_empty() { Ok(()) } else { Err(unsupported("config.json", &differences)) }
    }

    fn into_config(self) -> Result<Config> {
        let size = |name: &str, value: Option<u64>| -> Result<usize> {
            let value = value
                .ok_or_else(|| Error::input("model.config", format!("config.json: '{name}' is absent")))?;
            let cap = CAPS.iter().find(|(n, _)| *n == name).map_or(u64::MAX, |(_, cap)| *cap);
            if value == 0 || value > cap {
                return Err(Error::input(
                    "model.config",
                    format!("config.json: '{name}' is {value}, expected 1 to {cap}"),
                ));
            }
            Ok(value as usize)
        };
        let (d_model, n_heads) = (size("n_embd", self.n_embd)?, size("n_head", self.n_head)?);
        if !d_model.is_multiple_of(n_heads) {
            return Err(Error::input(
                "model.config",
                format!("config.json: n_embd {d_model} is not a multiple of n_head {n_heads}"),
            ));
        }
        let name = self.activation_function.as_deref().unwrap_or("gelu_new");
        let Some((_, act_fn)) = ACTIVATIONS.iter().find(|(known, _)| *known == name) else {
            let known = ACTIVATIONS.map(|(name, _)| name).join(", ");
            let found = start_of(name);
            let difference = format!("activation_function is '{found}', expected one of {known}");
            return Err(unsupported("config.json", &[difference]));
        };
        let eps = self.layer_norm_epsilon.unwrap_or(1e-5) as f32;
        if !(eps > 0.0 && eps < 1.0) {
            return Err(Error::input(
                "model.config",
                format!("config.json: layer_norm_epsilon is {eps} in F32, expected a number between 0 and 1"),
            ));
        }
        Ok(Config {
            n_layers: size("n_layer", self.n_layer)?,
            n_heads,
            d_model,
            d_head: d_model / n_heads,
            d_mlp: size("n_inner", Some(self.n_inner.unwrap_or(4 * d_model as u64)))?,
            d_vocab: size("vocab_size", Some(self.vocab_size.unwrap_or(50_257)))?,
            n_ctx: size("n_positions", Some(self.n_positions.or(self.n_ctx).unwrap_or(1024)))?,
            act_fn: *act_fn,
            eps,
            scale_attn_by_inverse_layer_idx: self.scale_attn_by_inverse_layer_idx.unwrap_or(false),
            scale_attn_weights: self.scale_attn_weights.unwrap_or(true),
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(true),
            bos_token_id: self.bos_token_id,
        })
    }
}

/// The first characters of a text of the file, on one line.
fn start_of(text: &str) -> String {
    text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The refusal of a model that is not GPT-2: at most its first five differences.
pub(crate) fn unsupported(place: &str, differences: &[String]) -> Error {
    let shown = differences.iter().take(5).cloned().collect::<Vec<_>>().join("; ");
    let more = differences.len().saturating_sub(5);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Error::input("model.unsupported", format!("{place}: this is not a GPT-2 model: {shown}{more}"))
        .with_action("Open a model with GPT-2's architecture, such as openai-community/gpt2.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> Error {
        Config::from_json(json.as_bytes()).unwrap_err()
    }

    #[test]
    fn defaults_are_gpt2s() {
        let cfg =
            Config::from_json(br#"{"model_type":"gpt2","n_layer":12,"n_head":12,"n_embd":768}"#).unwrap();
        assert_eq!((cfg.d_mlp, cfg.d_vocab, cfg.n_ctx, cfg.act_fn), (3072, 50257, 1024, ActFn::GeluNew));
        assert_eq!(cfg.n_params(), 124_439_808);
        assert!((cfg.attn_scale(3) - 0.125).abs() < 1e-9);
    }

    #[test]
    fn another_architecture_is_refused_with_its_differences() {
        let e = error(r#"{"model_type":"llama","architectures":["LlamaForCausalLM"]}"#);
        assert_eq!(e.code, "model.unsupported");
        assert!(e.message.contains("'llama'") && e.message.contains("n_layer"), "{e}");
    }

    #[test]
    fn absurd_sizes_are_refused() {
        for (json, word) in [
            (r#"{"n_layer":1,"n_head":1,"n_embd":99999}"#, "n_embd"),
            (r#"{"n_layer":0,"n_head":1,"n_embd":8}"#, "n_layer"),
            (r#"{"n_layer":1,"n_head":3,"n_embd":8}"#, "multiple"),
            (r#"{"n_layer":1,"n_head":1,"n_embd":8,"activation_function":"swish"}"#, "swish"),
            (r#"{"n_layer":1,"n_head":1,"n_embd":8,"layer_norm_epsilon":0}"#, "epsilon"),
        ] {
            assert!(error(json).message.contains(word), "{json}");
        }
    }
}
