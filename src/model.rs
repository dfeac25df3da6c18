//! GPT-2 as a [`Program`]: embed, blocks, unembed. The file to read first.
//!
//! The order of operations and the hook points are TransformerLens' (`HookedTransformer`, `TransformerBlock`,
//! `AbstractAttention`). Every hook goes through [`Builder::hook`], which splices in the edits and the copies that
//! the batch asks for; a forward pass that asks for nothing contains neither.

mod builder;
mod run;
mod unembed;

pub use run::{Limits, Readout, Run, RunOutput};

use crate::config::Config;
use crate::error::Result;
use crate::hook::{HookName, Site};
use crate::program::{Buf, Op, Program};
use crate::weights::{Part, Weight};
use builder::{Builder, LayerNorm};

/// Builds the forward pass of a batch of runs, sorted by the layer at which they start ([`Run::start_layer`]).
/// Returns the program and where each run's results lie in its output.
///
/// # Errors
/// When a run is empty or too long, a place lies outside its hook's shape, or a run refers to one it cannot.
pub fn program(
    cfg: &Config,
    ln_folded: bool,
    runs: &[Run],
    limits: &Limits,
) -> Result<(Program, Vec<RunOutput>)> {
    let mut b = Builder::new(cfg, ln_folded, runs, limits)?;
    embed(&mut b)?;
    for layer in 0..cfg.n_layers {
        b.start_runs(layer);
        attention(&mut b, layer)?;
        mlp(&mut b, layer)?;
    }
    b.start_runs(cfg.n_layers);
    b.unembed()?;
    Ok(b.finish())
}

fn embed(b: &mut Builder) -> Result<()> {
    let rows = b.start_rows();
    let len = rows * b.cfg.d_model;
    b.emit(Op::Embed { out: Buf::Embed, rows }, Buf::Embed, len);
    b.hook(Site::Embed, 0, Buf::Embed)?;
    b.emit(Op::PosEmbed { out: Buf::PosEmbed, rows }, Buf::PosEmbed, len);
    b.hook(Site::PosEmbed, 0, Buf::PosEmbed)?;
    b.emit(Op::Add { a: Buf::Embed, b: Buf::PosEmbed, out: Buf::Resid, len }, Buf::Resid, len);
    Ok(())
}

fn attention(b: &mut Builder, layer: usize) -> Result<()> {
    let (rows, heads, d_model, d_head) = (b.active_rows(), b.cfg.n_heads, b.cfg.d_model, b.cfg.d_head);
    let w = |part| Weight::Block(layer, part);
    b.hook(Site::ResidPre, layer, Buf::Resid)?; // [pos, d_model]

    if [Site::AttnIn, Site::QInput, Site::KInput, Site::VInput].iter().any(|site| b.edits(*site, layer))
        || b.wants(Site::AttnIn, layer)
    {
        b.repeat_heads(Buf::Resid, Buf::AttnIn, rows, heads, d_model);
        b.hook(Site::AttnIn, layer, Buf::AttnIn)?; // [pos, head, d_model]
    }
    let ln = (w(Part::Ln1W), w(Part::Ln1B));
    let hooks = [Site::Ln1Scale, Site::Ln1Normalized].map(|site| HookName { site, layer });
    let norm = LayerNorm { x: Buf::Resid, scale: Buf::Scale, out: Buf::Normalized, ln };
    b.layer_norm(norm, rows, Some(hooks))?;

    let (qs, ks, vs) = (
        (Site::QInput, Buf::QInput, Site::Q, Buf::Q, Part::WQ, Part::BQ),
        (Site::KInput, Buf::KInput, Site::K, Buf::K, Part::WK, Part::BK),
        (Site::VInput, Buf::VInput, Site::V, Buf::V, Part::WV, Part::BV),
    );
    for (input_site, input, site, out, weight, bias) in [qs, ks, vs] {
        if b.head_input(input_site, input, layer)? {
            let x = Buf::HeadNormalized; // [pos, head, d_model]
            b.layer_norm(LayerNorm { x: input, scale: Buf::HeadScale, out: x, ln }, rows * heads, None)?;
            let op = Op::HeadLinear { x, w: w(weight), b: w(bias), out, rows, heads, k: d_model, n: d_head };
            b.emit(op, out, rows * d_model);
        } else {
            b.linear(Buf::Normalized, w(weight), w(bias), out, d_model, d_model);
        }
        b.hook(site, layer, out)?; // [pos, head, d_head]
    }

    let scores = b.active_scores();
    let scale = b.cfg.attn_scale(layer);
    let op = Op::AttnScores { q: Buf::Q, k: Buf::K, out: Buf::AttnScores, rows, heads, d_head, scale };
    b.emit(op, Buf::AttnScores, scores);
    b.hook(Site::AttnScores, layer, Buf::AttnScores)?; // [head, dest, src]
    b.emit(Op::Pattern { scores: Buf::AttnScores, out: Buf::Pattern, rows, heads }, Buf::Pattern, scores);
    b.hook(Site::Pattern, layer, Buf::Pattern)?; // [head, dest, src]
    let causal = !b.edits(Site::AttnScores, layer) && !b.edits(Site::Pattern, layer);
    let op = Op::Z { pattern: Buf::Pattern, v: Buf::V, out: Buf::Z, rows, heads, d_head, causal };
    b.emit(op, Buf::Z, rows * d_model);
    b.hook(Site::Z, layer, Buf::Z)?; // [pos, head, d_head]

    if b.wants(Site::Result, layer) {
        let (z, out) = (Buf::Z, Buf::Result);
        let op = Op::HeadResult { z, w: w(Part::WO), out, rows, heads, k: d_head, n: d_model };
        b.emit(op, out, rows * heads * d_model);
        b.hook(Site::Result, layer, out)?; // [pos, head, d_model]
    }
    if b.edits(Site::Result, layer) {
        let (x, out) = (Buf::Result, Buf::AttnOut);
        let op = Op::SumHeads { x, b: w(Part::BO), out, rows, heads, width: d_model };
        b.emit(op, out, rows * d_model);
    } else {
        b.linear(Buf::Z, w(Part::WO), w(Part::BO), Buf::AttnOut, d_model, d_model);
    }
    b.hook(Site::AttnOut, layer, Buf::AttnOut)?; // [pos, d_model]
    b.add(Buf::Resid, Buf::AttnOut, Buf::ResidMid);
    b.hook(Site::ResidMid, layer, Buf::ResidMid) // [pos, d_model]
}

fn mlp(b: &mut Builder, layer: usize) -> Result<()> {
    let (rows, d_model, d_mlp, act) = (b.active_rows(), b.cfg.d_model, b.cfg.d_mlp, b.cfg.act_fn);
    let w = |part| Weight::Block(layer, part);
    let mut input = Buf::ResidMid;
    if b.wants(Site::MlpIn, layer) {
        b.repeat_heads(Buf::ResidMid, Buf::MlpIn, rows, 1, d_model);
        b.hook(Site::MlpIn, layer, Buf::MlpIn)?; // [pos, d_model]
        input = Buf::MlpIn;
    }
    let ln = (w(Part::Ln2W), w(Part::Ln2B));
    let hooks = [Site::Ln2Scale, Site::Ln2Normalized].map(|site| HookName { site, layer });
    let norm = LayerNorm { x: input, scale: Buf::Scale, out: Buf::Normalized, ln };
    b.layer_norm(norm, rows, Some(hooks))?;
    b.linear(Buf::Normalized, w(Part::WIn), w(Part::BIn), Buf::Pre, d_model, d_mlp);
    b.hook(Site::Pre, layer, Buf::Pre)?; // [pos, d_mlp]
    let len = rows * d_mlp;
    b.emit(Op::Activation { x: Buf::Pre, out: Buf::Post, act, len }, Buf::Post, len);
    b.hook(Site::Post, layer, Buf::Post)?; // [pos, d_mlp]
    b.linear(Buf::Post, w(Part::WOut), w(Part::BOut), Buf::MlpOut, d_mlp, d_model);
    b.hook(Site::MlpOut, layer, Buf::MlpOut)?; // [pos, d_model]
    b.add(Buf::ResidMid, Buf::MlpOut, Buf::Resid);
    b.hook(Site::ResidPost, layer, Buf::Resid) // [pos, d_model]
}
