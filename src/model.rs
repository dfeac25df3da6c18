//! GPT-2 as a [`Program`]: embed, blocks, unembed. The file to read first.
//!
//! The order of operations and the hook points are TransformerLens' (`HookedTransformer`, `TransformerBlock`,
//! `AbstractAttention`). Every hook goes through [`Builder::hook`], which splices in the edits and the copies that
//! the batch asks for; where nobody asks, ops run together (`Projections`, `Attention`, [`Then`]).
//!
//! A batch is many runs, most of which differ from another one only from some place on. Each stage has a [`Layout`]:
//! which rows of its buffer are whose. Runs get rows where they leave their base ([`Fork`]), for the positions that
//! differ there; behind the next attention every later position differs too.

mod attend;
mod builder;
mod extent;
mod heads;
mod hooks;
mod layout;
mod run;
mod unembed;

pub use run::{Limits, Readout, Run, RunOutput};

use crate::config::Config;
use crate::error::Result;
use crate::hook::{HookName, Site};
use crate::program::{Buf, Index, Op, Program, Rows, Src, Then};
use crate::weights::{Part, Weight};
use builder::{Builder, LayerNorm};
use extent::Fork;
use layout::Layout;
use std::sync::Arc;

/// Builds the forward pass of a batch of runs. Returns the program and where each run's results lie in its output.
/// `given` are the values that [`crate::intervene::Edit::Given`] refers to.
///
/// # Errors
/// When a run is empty or too long, a place lies outside its hook's shape, or a run refers to one it cannot.
pub fn program(
    cfg: &Config,
    ln_folded: bool,
    runs: &[Run],
    given: &Arc<Vec<f32>>,
    limits: &Limits,
) -> Result<(Program, Vec<RunOutput>)> {
    let mut b = Builder::new(cfg, ln_folded, runs, given, limits)?;
    let mut resid = embed(&mut b)?;
    for layer in 0..cfg.n_layers {
        let mid = attention(&mut b, layer, resid)?;
        resid = mlp(&mut b, layer, mid)?;
    }
    b.unembed(&resid)?;
    Ok(b.finish())
}

/// The residual stream of the runs that start with their tokens. `[pos, d_model]`
fn embed(b: &mut Builder) -> Result<Layout> {
    let mut layout = Layout::new(b.runs.len());
    for run in b.forks(0, Fork::Embed) {
        layout.push(run, b.extents[run].differs.clone());
    }
    let tokens: Index = layout.iter().map(|(run, pos)| b.runs[run].tokens[pos]).collect();
    let pos: Index = layout.iter().map(|(_, pos)| pos as u32).collect();
    let (rows, width) = (layout.rows(), b.cfg.d_model);
    let len = rows * width;
    if b.shows(Site::Embed, 0) || b.shows(Site::PosEmbed, 0) {
        b.emit(Op::Embed { tokens, pos: None, out: Buf::Embed }, Buf::Embed, len);
        b.hook(Site::Embed, 0, Buf::Embed, &layout)?;
        b.emit(Op::PosEmbed { pos, out: Buf::PosEmbed }, Buf::PosEmbed, len);
        b.hook(Site::PosEmbed, 0, Buf::PosEmbed, &layout)?;
        let (x, y) = (Rows::all(Buf::Embed), Rows::all(Buf::PosEmbed));
        b.emit(Op::Add { a: x, b: y, out: Buf::Resid, first: 0, rows, width }, Buf::Resid, len);
    } else {
        b.emit(Op::Embed { tokens, pos: Some(pos), out: Buf::Resid }, Buf::Resid, len);
    }
    Ok(layout)
}

/// From `resid_pre` to `resid_mid`.
fn attention(b: &mut Builder, layer: usize, mut pre: Layout) -> Result<Layout> {
    let (heads, d_model, d_head) = (b.cfg.n_heads, b.cfg.d_model, b.cfg.d_head);
    let w = |part| Weight::Block(layer, part);
    b.fork(layer, Fork::ResidPre, Site::ResidPre, Buf::Resid, &mut pre)?;
    b.hook(Site::ResidPre, layer, Buf::Resid, &pre)?; // [pos, d_model]

    let inputs = [Site::AttnIn, Site::QInput, Site::KInput, Site::VInput];
    if inputs.iter().any(|site| b.edits(*site, layer)) || b.wants(Site::AttnIn, layer) {
        b.repeat_heads(Buf::Resid, Buf::AttnIn, pre.rows(), heads, d_model);
        b.hook(Site::AttnIn, layer, Buf::AttnIn, &pre)?; // [pos, head, d_model]
    }
    let ln = (w(Part::Ln1W), w(Part::Ln1B));
    let hooks = [Site::Ln1Scale, Site::Ln1Normalized].map(|site| HookName { site, layer });
    b.layer_norm(LayerNorm { x: Buf::Resid, scale: Buf::Scale, out: Buf::Normalized, ln }, hooks, &pre)?;
    let attended = b.attended(layer, &pre);
    let by_rows = b.attends_by_rows(layer, &pre, &attended);
    let queries = b.project(layer, &pre, by_rows)?; // q, k, v: [pos, head, d_head]

    let attn = b.attn(layer, &pre, &queries, &attended)?;
    let scale = b.cfg.attn_scale(layer);
    let z_len = attended.rows() * d_model;
    if by_rows {
        b.attend_to_rows(layer, &attn, &queries, &attended);
    } else if b.shows(Site::AttnScores, layer) || b.shows(Site::Pattern, layer) {
        let (scores, pattern) = (Buf::AttnScores, Buf::Pattern);
        let len = b.score_len(&attended);
        let (q, keys, values) = (Buf::Q, Src::by_head(Buf::K), Src::by_head(Buf::V));
        let op = Op::AttnScores { attn: attn.clone(), q, keys, out: scores, heads, d_head, scale };
        b.emit(op, scores, len);
        b.score_hook(Site::AttnScores, layer, scores, &attended, &attn)?; // [head, dest, src]
        b.emit(Op::Pattern { attn: attn.clone(), scores, out: pattern, heads }, pattern, len);
        b.score_hook(Site::Pattern, layer, pattern, &attended, &attn)?; // [head, dest, src]
        let causal = b.causal;
        let out = Buf::Z;
        let op = Op::Z { attn: attn.clone(), pattern, values, out, first: 0, heads, d_head, causal };
        b.emit(op, Buf::Z, z_len);
    } else {
        let op = Op::Attention { attn: attn.clone(), out: Buf::Z, first: 0, heads, d_head, scale };
        b.emit(op, Buf::Z, z_len);
    }
    let mut mid = attended.clone();
    let copies = b.heads(layer, [&pre, &queries, &attended], &attn, &mut mid)?;
    b.hook_onto(copies, Site::Z, layer, Buf::Z, &mid)?; // [pos, head, d_head]
    if b.shows(Site::Result, layer) {
        let (rows, out) = (mid.rows(), Buf::Result);
        let op = Op::HeadResult { z: Buf::Z, w: w(Part::WO), out, rows, heads, k: d_head, n: d_model };
        b.emit(op, out, rows * heads * d_model);
        b.hook(Site::Result, layer, out, &mid)?; // [pos, head, d_model]
    }

    if b.shows(Site::AttnOut, layer) || b.edits(Site::Result, layer) {
        let (rows, out) = (mid.rows(), Buf::AttnOut);
        if b.edits(Site::Result, layer) {
            let op = Op::SumHeads { x: Buf::Result, b: w(Part::BO), out, rows, heads, width: d_model };
            b.emit(op, out, rows * d_model);
        } else {
            b.linear(
                Rows::all(Buf::Z),
                (w(Part::WO), w(Part::BO)),
                out,
                Then::Store,
                [rows, d_model, d_model],
            );
        }
        b.fork(layer, Fork::AttnOut, Site::AttnOut, out, &mut mid)?;
        b.hook(Site::AttnOut, layer, out, &mid)?; // [pos, d_model]
        let resid = b.rows(Buf::Resid, &pre, &mid)?;
        b.add(resid, Rows::all(out), Buf::ResidMid, mid.rows());
    } else {
        let resid = b.rows(Buf::Resid, &pre, &mid)?;
        let size = [mid.rows(), d_model, d_model];
        b.linear(Rows::all(Buf::Z), (w(Part::WO), w(Part::BO)), Buf::ResidMid, Then::Add(resid), size);
    }
    b.fork(layer, Fork::ResidMid, Site::ResidMid, Buf::ResidMid, &mut mid)?;
    b.hook(Site::ResidMid, layer, Buf::ResidMid, &mid)?; // [pos, d_model]
    Ok(mid)
}

/// From `resid_mid` to `resid_post`, which is the next layer's `resid_pre`.
fn mlp(b: &mut Builder, layer: usize, mid: Layout) -> Result<Layout> {
    let (d_model, d_mlp, act) = (b.cfg.d_model, b.cfg.d_mlp, b.cfg.act_fn);
    let w = |part| Weight::Block(layer, part);
    let mut input = Buf::ResidMid;
    if b.shows(Site::MlpIn, layer) {
        b.repeat_heads(Buf::ResidMid, Buf::MlpIn, mid.rows(), 1, d_model);
        b.hook(Site::MlpIn, layer, Buf::MlpIn, &mid)?; // [pos, d_model]
        input = Buf::MlpIn;
    }
    let ln = (w(Part::Ln2W), w(Part::Ln2B));
    let hooks = [Site::Ln2Scale, Site::Ln2Normalized].map(|site| HookName { site, layer });
    b.layer_norm(LayerNorm { x: input, scale: Buf::Scale, out: Buf::Normalized, ln }, hooks, &mid)?;

    let mut post = mid.clone();
    let (x, w_in, size) =
        (Rows::all(Buf::Normalized), (w(Part::WIn), w(Part::BIn)), [mid.rows(), d_model, d_mlp]);
    if b.shows(Site::Pre, layer) {
        b.linear(x, w_in, Buf::Pre, Then::Store, size);
        b.fork(layer, Fork::Pre, Site::Pre, Buf::Pre, &mut post)?;
        b.hook(Site::Pre, layer, Buf::Pre, &post)?; // [pos, d_mlp]
        let len = post.rows() * d_mlp;
        b.emit(Op::Activation { x: Buf::Pre, out: Buf::Post, act, len }, Buf::Post, len);
    } else {
        b.linear(x, w_in, Buf::Post, Then::Activate(act), size);
    }
    b.fork(layer, Fork::Post, Site::Post, Buf::Post, &mut post)?;
    b.hook(Site::Post, layer, Buf::Post, &post)?; // [pos, d_mlp]

    let mut resid = post.clone();
    let (x, w_out, size) =
        (Rows::all(Buf::Post), (w(Part::WOut), w(Part::BOut)), [post.rows(), d_mlp, d_model]);
    if b.shows(Site::MlpOut, layer) {
        b.linear(x, w_out, Buf::MlpOut, Then::Store, size);
        b.fork(layer, Fork::MlpOut, Site::MlpOut, Buf::MlpOut, &mut resid)?;
        b.hook(Site::MlpOut, layer, Buf::MlpOut, &resid)?; // [pos, d_model]
        let before = b.rows(Buf::ResidMid, &mid, &resid)?;
        b.add(before, Rows::all(Buf::MlpOut), Buf::Resid, resid.rows());
    } else {
        let before = b.rows(Buf::ResidMid, &mid, &resid)?;
        b.linear(x, w_out, Buf::Resid, Then::Add(before), size);
    }
    b.fork(layer, Fork::ResidPost, Site::ResidPost, Buf::Resid, &mut resid)?;
    b.hook(Site::ResidPost, layer, Buf::Resid, &resid)?; // [pos, d_model]
    Ok(resid)
}
