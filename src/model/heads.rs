//! Runs that leave their base at some heads of a layer: those heads are computed again, for the queries that can see the
//! edit, and the other heads' z are the base's.
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
use crate::hook::Site;
use crate::intervene::{Edit, Intervention};
use crate::program::{Attn, AttnRow, Buf, Op, Segment, Src};
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
    /// Appends to `mid` and to z the rows of the runs that leave their base at heads of this layer, with all edits but those
    /// of z itself. `layouts` are those of keys and values, of queries, and behind the attention; `attn` is the base's
    /// attention. Returns copies within z that are still to be made; no edit of z reads what they write.
    ///
    /// # Errors
    /// When what an edit copies is not computed.
    pub(super) fn heads(
        &mut self,
        layer: usize,
        layouts: [&Layout; 3],
        attn: &Arc<Attn>,
        mid: &mut Layout,
    ) -> Result<Vec<Segment>> {
        let [pre, queries, attended] = layouts;
        let runs = self.forks(layer, Fork::Heads);
        for run in &runs {
            mid.push(*run, overlap(&self.extents[*run].differs, &self.looked_at(*run, layer)));
        }
        if mid.rows() == attended.rows() {
            return Ok(Vec::new());
        }
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
        let tail = mid.rows() * self.cfg.d_model;
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
        self.z_rows(layer, attended, mid, (&runs, &z_of))
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
        let (q, keys, values) = (Buf::Q, Src::by_head(Buf::K), Src::by_head(Buf::V));
        let op = Op::AttnScores { attn: rows.clone(), q, keys, out: scores, heads, d_head, scale };
        self.emit(op, scores, end);
        self.score_edits(Site::AttnScores, layer, scores, attended, attn, &place)?;
        self.emit(Op::Pattern { attn: rows.clone(), scores, out: pattern, heads }, pattern, end);
        self.score_edits(Site::Pattern, layer, pattern, attended, attn, &place)?;
        let causal = self.causal;
        let z_end = first + rows.rows.len() * d_head;
        let out = Buf::Z;
        let op = Op::Z { attn: rows.clone(), pattern, values, out, first, heads, d_head, causal };
        self.emit(op, Buf::Z, z_end);
        Ok(())
    }

    /// The base's z for each row of a run that leaves it here, but for heads that are computed again, whose z begins at
    /// `z_of`, and heads that an edit of z writes.
    fn z_rows(
        &mut self,
        layer: usize,
        attended: &Layout,
        mid: &Layout,
        (runs, z_of): (&[usize], &dyn Fn(Item) -> Option<usize>),
    ) -> Result<Vec<Segment>> {
        let d_head = self.cfg.d_head;
        let scales = |i: &Intervention| matches!(i.edit, Edit::Scale { .. });
        let mut copies = Vec::new();
        for run in runs {
            let len = self.runs[*run].tokens.len();
            let of_z: Vec<_> = self.here(*run, layer).filter(|i| i.hook.site == Site::Z).collect();
            for dest in mid.positions(*run) {
                let written = |head: usize| {
                    let here = |i: &&&Intervention| {
                        i.place.positions(len).contains(&dest)
                            && i.place.heads(self.cfg.n_heads).contains(&head)
                    };
                    of_z.iter().find(here).is_some_and(|first| !scales(first))
                };
                let (row, base) = (self.row(mid, *run, dest)?, self.row(attended, *run, dest)?);
                for head in (0..self.cfg.n_heads).filter(|head| !written(*head)) {
                    let at = |row: usize| row * self.cfg.d_model + head * d_head;
                    let src = z_of((*run, head, dest)).unwrap_or(at(base));
                    push(&mut copies, Segment::copy(at(row) as u32, src as u32, d_head as u32));
                }
            }
        }
        if self.interventions(Site::Z, layer).iter().any(|(_, i)| scales(i)) {
            self.edit(Buf::Z, Buf::Z, std::mem::take(&mut copies));
        }
        Ok(copies)
    }
}
