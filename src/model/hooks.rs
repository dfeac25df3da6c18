//! Hook points: a batch's edits are spliced in, and what is wanted is copied out.

use super::builder::Builder;
use super::layout::Layout;
use crate::error::Result;
use crate::hook::{HookName, Site};
use crate::intervene::{Edit, Intervention};
use crate::program::{Attn, Buf, Op, Segment};

impl Builder<'_> {
    /// One hook point over rows: applies the batch's edits to `buf`, then copies what is wanted of it.
    ///
    /// # Errors
    /// When what an edit copies is not computed.
    pub(super) fn hook(&mut self, site: Site, layer: usize, buf: Buf, layout: &Layout) -> Result<()> {
        self.hook_onto(Vec::new(), site, layer, buf, layout)
    }

    /// [`Builder::hook`] behind copies within `buf`, which no edit of the hook may read.
    ///
    /// # Errors
    /// As [`Builder::hook`].
    pub(super) fn hook_onto(
        &mut self,
        copies: Vec<Segment>,
        site: Site,
        layer: usize,
        buf: Buf,
        layout: &Layout,
    ) -> Result<()> {
        let row_width = self.row_width(site);
        let head_width = row_width / self.cfg.n_heads;
        let (mut inside, mut given) = (copies, Vec::new());
        for (run, Intervention { place, edit, .. }) in self.interventions(site, layer) {
            let (col, width) = place.head.map_or((0, row_width), |head| (head * head_width, head_width));
            for pos in place.positions(self.runs[*run].tokens.len()) {
                let Some(row) = layout.own_row(*run, pos) else { continue };
                let (dst, len) = ((row * row_width + col) as u32, width as u32);
                match edit {
                    Edit::Zero => push(&mut inside, Segment::zero(dst, len)),
                    Edit::Scale { by } => {
                        push(&mut inside, Segment { scale: *by, ..Segment::copy(dst, dst, len) })
                    }
                    Edit::Patch { from } => {
                        let src = self.row(layout, *from, pos)? * row_width + col;
                        push(&mut inside, Segment::copy(dst, src as u32, len));
                    }
                    Edit::Given { at, per_pos } => {
                        let src = at + if *per_pos { pos * row_width } else { 0 } + col;
                        push(&mut given, Segment::copy(dst, src as u32, len));
                    }
                }
            }
        }
        self.edit(buf, buf, inside);
        self.edit(buf, Buf::Given, given);
        for (run, slot) in self.wants.get(&HookName { site, layer }).cloned().unwrap_or_default() {
            let len = self.runs[run].tokens.len() * row_width;
            let start = self.row(layout, run, 0)? * row_width;
            self.outputs[run].hooks[slot] = self.keep(buf, start, len);
        }
        Ok(())
    }

    /// One hook point over scores or patterns, whose rows lie where `attn` says.
    ///
    /// # Errors
    /// As [`Builder::hook`].
    pub(super) fn score_hook(
        &mut self,
        site: Site,
        layer: usize,
        buf: Buf,
        layout: &Layout,
        attn: &Attn,
    ) -> Result<()> {
        let place = |run, head: usize, dest| {
            let row = &attn.rows[layout.own_row(run, dest)?];
            Some(row.score as usize + head * row.score_stride as usize)
        };
        self.score_edits(site, layer, buf, layout, attn, &place)?;
        for (run, slot) in self.wants.get(&HookName { site, layer }).cloned().unwrap_or_default() {
            let len = self.cfg.n_heads * self.runs[run].tokens.len().pow(2);
            let start = attn.rows[self.row(layout, run, 0)?].score as usize;
            self.outputs[run].hooks[slot] = self.keep(buf, start, len);
        }
        Ok(())
    }

    /// Edits of scores or patterns at the elements where `place(run, head, dest)` puts their rows. They copy from the
    /// whole rows of `layout` and `attn`.
    pub(super) fn score_edits(
        &mut self,
        site: Site,
        layer: usize,
        buf: Buf,
        layout: &Layout,
        attn: &Attn,
        place: &dyn Fn(usize, usize, usize) -> Option<usize>,
    ) -> Result<()> {
        let (mut inside, mut given) = (Vec::new(), Vec::new());
        for (run, Intervention { place: at, edit, .. }) in self.interventions(site, layer) {
            let tokens = self.runs[*run].tokens.len();
            let src = at.src.map_or(0..tokens, |src| src..src + 1);
            let len = src.len() as u32;
            for head in at.heads(self.cfg.n_heads) {
                for dest in at.positions(tokens) {
                    let Some(start) = place(*run, head, dest) else { continue };
                    let dst = (start + src.start) as u32;
                    match edit {
                        Edit::Zero => push(&mut inside, Segment::zero(dst, len)),
                        Edit::Scale { by } => {
                            push(&mut inside, Segment { scale: *by, ..Segment::copy(dst, dst, len) });
                        }
                        Edit::Patch { from } => {
                            let row = &attn.rows[self.row(layout, *from, dest)?];
                            let start = row.score as usize + head * row.score_stride as usize;
                            push(&mut inside, Segment::copy(dst, (start + src.start) as u32, len));
                        }
                        Edit::Given { at, .. } => {
                            let start = at + (head * tokens + dest) * tokens + src.start;
                            push(&mut given, Segment::copy(dst, start as u32, len));
                        }
                    }
                }
            }
        }
        self.edit(buf, buf, inside);
        self.edit(buf, Buf::Given, given);
        Ok(())
    }

    pub(super) fn keep(&mut self, buf: Buf, start: usize, len: usize) -> usize {
        let at = self.program.output_len;
        self.program.ops.push(Op::Keep { buf, start, len, at });
        self.program.output_len += len;
        at
    }

    pub(super) fn edit(&mut self, buf: Buf, from: Buf, segments: Vec<Segment>) {
        if !segments.is_empty() {
            self.program.ops.push(Op::Edit { buf, from, segments });
        }
    }
}

/// Adds a segment, to the last one where it goes on there.
pub(super) fn push(segments: &mut Vec<Segment>, next: Segment) {
    if let Some(last) = segments.last_mut() {
        let sources_go_on = match (last.src, next.src) {
            (Segment::ZERO, src) | (src, Segment::ZERO) => src == Segment::ZERO && last.src == next.src,
            (src, next) => src + last.len == next,
        };
        if last.dst + last.len == next.dst && sources_go_on && last.scale == next.scale {
            last.len += next.len;
            return;
        }
    }
    segments.push(next);
}
