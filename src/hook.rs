//! Hook points: TransformerLens' names for the activations of GPT-2, and their shapes.
//!
//! There are three families of shape, written for one run (no batch axis):
//! `[pos, width]`, `[pos, head, width]` and `[head, dest, src]`.

use crate::config::Config;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A kind of activation. [`HookName`] adds the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Site {
    Embed,
    PosEmbed,
    ResidPre,
    AttnIn,
    QInput,
    KInput,
    VInput,
    Ln1Scale,
    Ln1Normalized,
    Q,
    K,
    V,
    AttnScores,
    Pattern,
    Z,
    Result,
    AttnOut,
    ResidMid,
    MlpIn,
    Ln2Scale,
    Ln2Normalized,
    Pre,
    Post,
    MlpOut,
    ResidPost,
    LnFinalScale,
    LnFinalNormalized,
}

/// An index of an activation, as in TransformerLens' `index_axis_names`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    Layer,
    Pos,
    Head,
    Dest,
    Src,
}

/// The family of a site's shape; `width` is the size of the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `[pos, width]`
    Pos { width: usize },
    /// `[pos, head, width]`
    PosHead { width: usize },
    /// `[head, dest, src]`
    HeadDestSrc,
}

/// Site, short name (in experiments), what stands before and after it in the hook's full name.
const NAMES: [(Site, &str, &str); 27] = [
    (Site::Embed, "embed", "hook_embed"),
    (Site::PosEmbed, "pos_embed", "hook_pos_embed"),
    (Site::ResidPre, "resid_pre", "hook_resid_pre"),
    (Site::AttnIn, "attn_in", "hook_attn_in"),
    (Site::QInput, "q_input", "hook_q_input"),
    (Site::KInput, "k_input", "hook_k_input"),
    (Site::VInput, "v_input", "hook_v_input"),
    (Site::Ln1Scale, "ln1.scale", "ln1.hook_scale"),
    (Site::Ln1Normalized, "ln1.normalized", "ln1.hook_normalized"),
    (Site::Q, "q", "attn.hook_q"),
    (Site::K, "k", "attn.hook_k"),
    (Site::V, "v", "attn.hook_v"),
    (Site::AttnScores, "attn_scores", "attn.hook_attn_scores"),
    (Site::Pattern, "pattern", "attn.hook_pattern"),
    (Site::Z, "z", "attn.hook_z"),
    (Site::Result, "result", "attn.hook_result"),
    (Site::AttnOut, "attn_out", "hook_attn_out"),
    (Site::ResidMid, "resid_mid", "hook_resid_mid"),
    (Site::MlpIn, "mlp_in", "hook_mlp_in"),
    (Site::Ln2Scale, "ln2.scale", "ln2.hook_scale"),
    (Site::Ln2Normalized, "ln2.normalized", "ln2.hook_normalized"),
    (Site::Pre, "pre", "mlp.hook_pre"),
    (Site::Post, "post", "mlp.hook_post"),
    (Site::MlpOut, "mlp_out", "hook_mlp_out"),
    (Site::ResidPost, "resid_post", "hook_resid_post"),
    (Site::LnFinalScale, "ln_final.scale", "ln_final.hook_scale"),
    (Site::LnFinalNormalized, "ln_final.normalized", "ln_final.hook_normalized"),
];

impl Site {
    /// Every site, in the order of the forward pass.
    pub fn all() -> impl Iterator<Item = Site> {
        NAMES.iter().map(|(site, _, _)| *site)
    }

    /// The name used in experiments: `resid_pre`, `z`, `ln1.scale`.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// Whether the site stands once in every layer.
    pub fn has_layer(self) -> bool {
        !matches!(self, Site::Embed | Site::PosEmbed | Site::LnFinalScale | Site::LnFinalNormalized)
    }

    /// Whether the site stands behind the last layer.
    pub fn is_final(self) -> bool {
        matches!(self, Site::LnFinalScale | Site::LnFinalNormalized)
    }

    pub fn family(self, cfg: &Config) -> Family {
        use Site::*;
        match self {
            Ln1Scale | Ln2Scale | LnFinalScale => Family::Pos { width: 1 },
            Pre | Post => Family::Pos { width: cfg.d_mlp },
            Q | K | V | Z => Family::PosHead { width: cfg.d_head },
            AttnIn | QInput | KInput | VInput | Result => Family::PosHead { width: cfg.d_model },
            AttnScores | Pattern => Family::HeadDestSrc,
            _ => Family::Pos { width: cfg.d_model },
        }
    }

    /// The shape for a run of `len` tokens, TransformerLens' without the batch axis.
    pub fn shape(self, cfg: &Config, len: usize) -> Vec<usize> {
        match self.family(cfg) {
            Family::Pos { width } => vec![len, width],
            Family::PosHead { width } => vec![len, cfg.n_heads, width],
            Family::HeadDestSrc => vec![cfg.n_heads, len, len],
        }
    }

    /// The number of elements for a run of `len` tokens.
    pub fn len(self, cfg: &Config, len: usize) -> usize {
        self.shape(cfg, len).iter().product()
    }

    /// The axes that a place of this site may name, in the order of the shape.
    pub fn axes(self) -> &'static [Axis] {
        use Site::*;
        match self {
            Embed | PosEmbed | LnFinalScale | LnFinalNormalized => &[Axis::Pos],
            AttnScores | Pattern => &[Axis::Layer, Axis::Head, Axis::Dest, Axis::Src],
            Q | K | V | Z | AttnIn | QInput | KInput | VInput | Result => {
                &[Axis::Layer, Axis::Pos, Axis::Head]
            }
            _ => &[Axis::Layer, Axis::Pos],
        }
    }
}

impl Axis {
    pub fn name(self) -> &'static str {
        match self {
            Axis::Layer => "layer",
            Axis::Pos => "pos",
            Axis::Head => "head",
            Axis::Dest => "dest",
            Axis::Src => "src",
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Site> for &'static str {
    fn from(site: Site) -> Self {
        site.name()
    }
}

impl TryFrom<String> for Site {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        let found = NAMES.iter().find(|(_, short, _)| *short == name);
        found.map(|(site, _, _)| *site).ok_or_else(|| {
            let known: Vec<_> = NAMES.iter().map(|(_, short, _)| *short).collect();
            format!("unknown site '{name}', expected one of {}", known.join(", "))
        })
    }
}

/// A hook point by its full name: `blocks.3.attn.hook_z`, `ln_final.hook_scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HookName {
    pub site: Site,
    /// 0 for sites outside the layers.
    pub layer: usize,
}

impl HookName {
    /// Reads a hook name and checks that the model has the layer.
    ///
    /// # Errors
    /// `input.unknown_hook`: a hook that matches nothing is never ignored.
    pub fn parse(text: &str, cfg: &Config) -> Result<Self> {
        let hook: HookName = text.parse()?;
        if hook.layer >= cfg.n_layers {
            return Err(Error::input(
                "input.unknown_hook",
                format!(
                    "hook '{text}': layer {} of a model with {} layers (0 to {})",
                    hook.layer,
                    cfg.n_layers,
                    cfg.n_layers - 1
                ),
            ));
        }
        Ok(hook)
    }
}

impl FromStr for HookName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::input(
                "input.unknown_hook",
                format!(
                    "unknown hook '{text}', expected a TransformerLens name such as 'blocks.0.attn.hook_pattern', 'blocks.0.hook_resid_pre' or 'ln_final.hook_scale'"
                ),
            )
        };
        let (layer, tail) = match text.strip_prefix("blocks.") {
            Some(rest) => {
                let (digits, tail) = rest.split_once('.').ok_or_else(unknown)?;
                // Only the canonical spelling, so that a hook has one name: no sign, no leading zero.
                let layer: usize = digits.parse().map_err(|_| unknown())?;
                if layer.to_string() != digits {
                    return Err(unknown());
                }
                (Some(layer), tail)
            }
            None => (None, text),
        };
        let found = NAMES.iter().find(|(site, _, full)| *full == tail && site.has_layer() == layer.is_some());
        found.map(|(site, _, _)| HookName { site: *site, layer: layer.unwrap_or(0) }).ok_or_else(unknown)
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = NAMES[self.site as usize].2;
        if self.site.has_layer() { write!(f, "blocks.{}.{tail}", self.layer) } else { f.write_str(tail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_enum() {
        for (i, (site, _, _)) in NAMES.iter().enumerate() {
            assert_eq!(*site as usize, i);
        }
    }

    #[test]
    fn names_read_back() {
        for site in Site::all() {
            let layer = if site.has_layer() { 11 } else { 0 };
            let hook = HookName { site, layer };
            assert_eq!(hook.to_string().parse::<HookName>().unwrap(), hook);
            assert_eq!(Site::try_from(site.name().to_string()).unwrap(), site);
        }
    }

    #[test]
    fn a_hook_that_matches_nothing_is_an_error() {
        for bad in [
            "",
            "blocks.0.hook_z",
            "blocks.x.attn.hook_z",
            "blocks.01.attn.hook_z",
            "hook_resid_pre",
            "blocks.0.hook_embed",
            "blocks.0",
        ] {
            assert_eq!(bad.parse::<HookName>().unwrap_err().code, "input.unknown_hook", "{bad}");
        }
    }
}
