//! Runs that leave their base at some heads of a layer: those heads are computed again, for the queries that can see the
//! edit, and the residual stream becomes the base's plus what they add now, less what they added before.
//!
//! An edited query, key or value is a row that the head looks at instead of the base's: another run's row where it is
//! patched from there, a spare row behind the others where it is not.
//!
//! Longer than most files: what is replaced, what is computed again and what changes belong together.

use super::builder::Builder;
use super::extent::{Fork, overlap};
use super::hooks::push;
use super::layout::Layout;
use crate::error::Result;
use crate::hook::{HookName, Site};
use crate::intervene::{Edit, Intervention};
use crate::program::{Attn, AttnRow, Buf, DeltaRow, HeadChange, Op, Segment};
use crate::weights::{Part, Weight};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// A run, a head and a position (dest).
type Item = (usize, usize, usize);

/// Rows that stand in for the base's.
type Replaced = HashMap<Item, u32>;

/// The heads of one layer that are computed again: their rows, and the range of dest of each run and head.
#[derive(Default)]
struct Again {
    attn: Attn,
    /// Row of each.
    items: HashMap<Item, usize>,
    /// Lists of rows by run, head and length; the base's stand under no head.
    lists: HashMap<(Site, usize, Option<usize>, usize), u32>,
}

impl Builder<'_> {
    /// Appends to `mid` and to `resid_mid` the rows of the runs that leave their base at heads of this layer. `layouts`
    /// are those of keys and values, of queries, and behind the attention; `attn` is the base's attention.
    ///
    /// # Errors
    /// When what an edit copies is not computed.
    pub(super) fn heads(
        &mut self,
        layer: usize,
        layouts: [&Layout; 3],
        attn: &Arc<Attn>,
        mid: &mut Layout,
    ) -> Result<()> {
        let runs = self.forks(layer, Fork::Heads);
        if runs.is_empty() {
            return Ok(());
        }
        let [pre, queries, attended] = layouts;
        let q = self.replaced(layer, Site::Q, Buf::Q, queries, &runs)?;
        let k = self.replaced(layer, Site::K, Buf::K, pre, &runs)?;
        let v = self.replaced(layer, Site::V, Buf::V, pre, &runs)?;

        // Heads whose scores or pattern are edited go through them one step at a time.
        let (mut at_once, mut in_steps) = (Again::default(), Again::default());
        for run in &runs {
            let steps =
                self.here(*run, layer).any(|i| matches!(i.hook.site, Site::AttnScores | Site::Pattern));
            let again = if steps { &mut in_steps } else { &mut at_once };
            for (head, dests) in self.affected(*run, layer) {
                self.again(again, [pre, queries], (*run, head, dests), [&q, &k, &v])?;
            }
        }
        let d_head = self.cfg.d_head;
        let tail = attended.rows() * self.cfg.d_model;
        let second = tail + at_once.attn.rows.len() * d_head;
        let end = second + in_steps.attn.rows.len() * d_head;
        let scale = self.cfg.attn_scale(layer);
        if !at_once.attn.rows.is_empty() {
            let attn = Arc::new(std::mem::take(&mut at_once.attn));
            let op = Op::Attention { attn, out: Buf::Z, first: tail, heads: 1, d_head, scale };
            self.emit(op, Buf::Z, second);
        }
        if !in_steps.attn.rows.is_empty() {
            self.in_steps(layer, &mut in_steps, attended, attn, second)?;
        }
        self.grow(Buf::Z, end);
        let z_of = |item: Item| {
            let first = at_once.items.get(&item).map(|i| tail + i * d_head);
            first.or_else(|| in_steps.items.get(&item).map(|i| second + i * d_head))
        };
        self.deltas(layer, attended, (&runs, &z_of, end), mid)
    }

    /// The run's edits of this layer.
    fn here(&self, run: usize, layer: usize) -> impl Iterator<Item = &Intervention> {
        self.runs[run].interventions.iter().filter(move |i| i.hook.layer == layer)
    }

    /// The heads of a run that are computed again, each with the queries that can see an edit.
    fn affected(&self, run: usize, layer: usize) -> BTreeMap<usize, Range<usize>> {
        let len = self.runs[run].tokens.len();
        let looked_at = self.looked_at(run, layer);
        let mut affected: BTreeMap<usize, Range<usize>> = BTreeMap::new();
        for Intervention { hook, place, .. } in self.here(run, layer) {
            let positions = place.positions(len);
            let dests = match hook.site {
                Site::Q | Site::AttnScores | Site::Pattern => positions,
                Site::K | Site::V => positions.start..len,
                _ => continue,
            };
            let dests = overlap(&dests, &looked_at);
            if dests.is_empty() {
                continue;
            }
            for head in place.heads(self.cfg.n_heads) {
                let all = affected.entry(head).or_insert(dests.clone());
                *all = all.start.min(dests.start)..all.end.max(dests.end);
            }
        }
        affected
    }

    /// The rows that edits of q, k or v put in the place of the base's.
    fn replaced(
        &mut self,
        layer: usize,
        site: Site,
        buf: Buf,
        layout: &Layout,
        runs: &[usize],
    ) -> Result<Replaced> {
        let (d, d_head) = (self.cfg.d_model, self.cfg.d_head);
        let zero_row = layout.rows() as u32;
        // How many edits a spare row has been through: each reads what the one before wrote.
        let mut replaced: HashMap<Item, (u32, usize)> = HashMap::new();
        let (mut rounds, mut given): (Vec<Vec<Segment>>, Vec<Segment>) = (Vec::new(), Vec::new());
        let (mut spare_of_head, mut zero) = (vec![zero_row + 1; self.cfg.n_heads], false);
        for (run, Intervention { place, edit, .. }) in self.interventions(site, layer) {
            if runs.binary_search(run).is_err() {
                continue;
            }
            let positions = place.positions(self.runs[*run].tokens.len());
            let within =
                if site == Site::Q { self.looked_at(*run, layer) } else { 0..self.extents[*run].end };
            for pos in overlap(&positions, &within) {
                for head in place.heads(self.cfg.n_heads) {
                    let key = (*run, head, pos);
                    let col = head * d_head;
                    let at = |row: u32| row * d as u32 + col as u32;
                    let mut spare = || {
                        spare_of_head[head] += 1;
                        spare_of_head[head] - 1
                    };
                    let new = match edit {
                        Edit::Zero => {
                            zero = true;
                            (zero_row, 0)
                        }
                        Edit::Patch { from } => (self.row(layout, *from, pos)? as u32, 0),
                        Edit::Scale { by } => {
                            let old = match replaced.get(&key) {
                                Some(old) => *old,
                                None => (self.row(layout, *run, pos)? as u32, 0),
                            };
                            let row = spare();
                            rounds.resize(rounds.len().max(old.1 + 1), Vec::new());
                            let segment =
                                Segment { scale: *by, ..Segment::copy(at(row), at(old.0), d_head as u32) };
                            push(&mut rounds[old.1], segment);
                            (row, old.1 + 1)
                        }
                        Edit::Given { at: first, per_pos } => {
                            let (row, first) = (spare(), first + if *per_pos { pos * d } else { 0 } + col);
                            push(&mut given, Segment::copy(at(row), first as u32, d_head as u32));
                            (row, 0)
                        }
                    };
                    replaced.insert(key, new);
                }
            }
        }
        if !replaced.is_empty() {
            self.grow(buf, spare_of_head.iter().max().map_or(0, |row| *row as usize) * d);
        }
        self.edit(buf, Buf::Given, given);
        if zero {
            self.edit(buf, buf, vec![Segment::zero(zero_row * d as u32, d as u32)]);
        }
        rounds.into_iter().for_each(|round| self.edit(buf, buf, round));
        Ok(replaced.into_iter().map(|(key, (row, _))| (key, row)).collect())
    }

    /// Adds the rows of one head of a run.
    fn again(
        &self,
        again: &mut Again,
        [pre, queries]: [&Layout; 2],
        (run, head, dests): (usize, usize, Range<usize>),
        [q, k, v]: [&Replaced; 3],
    ) -> Result<()> {
        let seen = self.extents[run].end;
        let mut list = |site: Site, replaced: &Replaced| -> Result<u32> {
            let own = (0..seen).any(|pos| replaced.contains_key(&(run, head, pos)));
            // Runs of one base that replace nothing share its list.
            let key = if own {
                (site, run, Some(head), seen)
            } else {
                (Site::ResidPre, self.runs[run].base.unwrap_or(run), None, seen)
            };
            if let Some(list) = again.lists.get(&key) {
                return Ok(*list);
            }
            let first = again.attn.src_rows.len() as u32;
            for pos in 0..seen {
                let row = match replaced.get(&(run, head, pos)) {
                    Some(row) => *row,
                    None => self.row(pre, run, pos)? as u32,
                };
                again.attn.src_rows.push(row);
            }
            again.lists.insert(key, first);
            Ok(first)
        };
        let (keys, values) = (list(Site::K, k)?, list(Site::V, v)?);
        let len = self.runs[run].tokens.len() as u32;
        for dest in dests {
            let q = match q.get(&(run, head, dest)) {
                Some(row) => *row,
                None => self.row(queries, run, dest)? as u32,
            };
            again.items.insert((run, head, dest), again.attn.rows.len());
            let (dest, head) = (dest as u32, head as u32);
            again.attn.rows.push(AttnRow { q, dest, len, keys, values, score: 0, score_stride: 0, head });
        }
        Ok(())
    }

    /// Scores, pattern and z of heads whose scores or pattern are edited, behind the base's in their buffers.
    fn in_steps(
        &mut self,
        layer: usize,
        again: &mut Again,
        attended: &Layout,
        attn: &Arc<Attn>,
        first: usize,
    ) -> Result<()> {
        let mut end = self.score_len(attended);
        for row in &mut again.attn.rows {
            row.score = end as u32;
            end += row.len as usize;
        }
        let (d_head, scale) = (self.cfg.d_head, self.cfg.attn_scale(layer));
        let rows = Arc::new(std::mem::take(&mut again.attn));
        let place = |run, head, dest| Some(rows.rows[*again.items.get(&(run, head, dest))?].score as usize);
        let (scores, pattern, heads) = (Buf::AttnScores, Buf::Pattern, 1);
        self.emit(Op::AttnScores { attn: rows.clone(), out: scores, heads, d_head, scale }, scores, end);
        self.score_edits(Site::AttnScores, layer, scores, attended, attn, &place)?;
        self.emit(Op::Pattern { attn: rows.clone(), scores, out: pattern, heads }, pattern, end);
        self.score_edits(Site::Pattern, layer, pattern, attended, attn, &place)?;
        let causal = self.causal;
        let z_end = first + rows.rows.len() * d_head;
        let op = Op::Z { attn: rows.clone(), pattern, out: Buf::Z, first, heads, d_head, causal };
        self.emit(op, Buf::Z, z_end);
        Ok(())
    }

    /// What changes of z in each row, and the rows of `resid_mid` that follow. `z_of` is where a head's new z begins;
    /// edits of z itself that need room find it from element `spare` on.
    fn deltas(
        &mut self,
        layer: usize,
        attended: &Layout,
        (runs, z_of, spare): (&[usize], &dyn Fn(Item) -> Option<usize>, usize),
        mid: &mut Layout,
    ) -> Result<()> {
        let (d, d_head) = (self.cfg.d_model, self.cfg.d_head);
        let (first_row, mut spare) = (mid.rows(), spare);
        let (mut rows, mut changes) = (Vec::new(), Vec::new());
        let (mut rounds, mut given): (Vec<Vec<Segment>>, Vec<Segment>) = (Vec::new(), Vec::new());
        for run in runs {
            let looked_at = self.looked_at(*run, layer);
            let differs = &self.extents[*run].differs;
            let positions = overlap(differs, &looked_at);
            let affected = self.affected(*run, layer);
            let hook = HookName { site: Site::Z, layer };
            let of_z: Vec<Intervention> =
                self.here(*run, layer).filter(|i| i.hook == hook).copied().collect();
            for dest in positions.clone() {
                let old = self.row(attended, *run, dest)? * d;
                let z_old = |head: usize| (old + head * d_head) as u32;
                // By head: where its new z begins, and how many edits of this row it has been through.
                let mut new: BTreeMap<usize, (u32, usize)> = BTreeMap::new();
                new.extend(
                    affected.keys().filter_map(|head| Some((*head, (z_of((*run, *head, dest))? as u32, 0)))),
                );
                for Intervention { place, edit, .. } in &of_z {
                    if !place.positions(self.runs[*run].tokens.len()).contains(&dest) {
                        continue;
                    }
                    for head in place.heads(self.cfg.n_heads) {
                        let (now, round) = new.get(&head).copied().unwrap_or((z_old(head), 0));
                        let next = match edit {
                            Edit::Zero => (HeadChange::ZERO, 0),
                            Edit::Patch { from } => {
                                ((self.row(attended, *from, dest)? * d + head * d_head) as u32, 0)
                            }
                            Edit::Scale { .. } if now == HeadChange::ZERO => (now, round),
                            Edit::Scale { by } => {
                                rounds.resize(rounds.len().max(round + 1), Vec::new());
                                let copy = Segment::copy(spare as u32, now, d_head as u32);
                                push(&mut rounds[round], Segment { scale: *by, ..copy });
                                spare += d_head;
                                ((spare - d_head) as u32, round + 1)
                            }
                            Edit::Given { at, per_pos } => {
                                let first = at + if *per_pos { dest * d } else { 0 } + head * d_head;
                                push(&mut given, Segment::copy(spare as u32, first as u32, d_head as u32));
                                spare += d_head;
                                ((spare - d_head) as u32, 0)
                            }
                        };
                        new.insert(head, next);
                    }
                }
                let first = changes.len() as u32;
                let change = |(head, (z_new, _)): (&usize, &(u32, usize))| HeadChange {
                    head: *head as u32,
                    z_new: *z_new,
                    z_old: z_old(*head),
                };
                changes.extend(new.iter().map(change));
                let base = self.row(mid, *run, dest)? as u32;
                rows.push(DeltaRow { base, first, end: changes.len() as u32 });
            }
            mid.push(*run, positions);
        }
        self.grow(Buf::Z, spare);
        self.edit(Buf::Z, Buf::Given, given);
        rounds.into_iter().for_each(|round| self.edit(Buf::Z, Buf::Z, round));
        if !rows.is_empty() {
            let w = Weight::Block(layer, Part::WO);
            let op = Op::ZDelta { w, rows, changes, out: Buf::ResidMid, first: first_row, d_head };
            self.emit(op, Buf::ResidMid, mid.rows() * d);
        }
        Ok(())
    }
}
