//! Interventions as data: a hook, a place in it, an edit. Never a closure, so they can be batched, sent to a worker
//! and written beside a figure.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::{Axis, Family, HookName, Site};

/// Where in an activation; what is `None` means all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub pos: Option<usize>,
    pub head: Option<usize>,
    pub dest: Option<usize>,
    pub src: Option<usize>,
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edit {
    /// Becomes 0.
    Zero,
    /// Is multiplied.
    Scale { by: f32 },
    /// Becomes the same activation of another run of the batch, by its index.
    Patch { from: usize },
}

/// One edit of one activation during a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervention {
    pub hook: HookName,
    pub place: Place,
    pub edit: Edit,
}

impl Place {
    /// Sets one index. `Axis::Layer` belongs to the hook's name and is ignored here.
    #[must_use]
    pub fn with(mut self, axis: Axis, index: usize) -> Self {
        match axis {
            Axis::Layer => {}
            Axis::Pos => self.pos = Some(index),
            Axis::Head => self.head = Some(index),
            Axis::Dest => self.dest = Some(index),
            Axis::Src => self.src = Some(index),
        }
        self
    }

    /// The elements of `site`'s activation in a run of `len` tokens that this place names, as `(start, len)` ranges
    /// in the row-major activation, ascending.
    ///
    /// # Errors
    /// `input.place` when an index is outside the shape or the site has no such axis.
    pub fn ranges(&self, site: Site, cfg: &Config, len: usize) -> Result<Vec<(usize, usize)>> {
        self.check(site, cfg, len)?;
        // Each family is a box [outer, middle, inner]; a run of whole trailing axes is one range.
        let (shape, picks) = match site.family(cfg) {
            Family::Pos { width } => ([1, len, width], [None, self.pos, None]),
            Family::PosHead { width } => ([len, cfg.n_heads, width], [self.pos, self.head, None]),
            Family::HeadDestSrc => ([cfg.n_heads, len, len], [self.head, self.dest, self.src]),
        };
        let span = |axis: usize| picks[axis].map_or(0..shape[axis], |i| i..i + 1);
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for outer in span(0) {
            for middle in span(1) {
                let inner = span(2);
                let start = (outer * shape[1] + middle) * shape[2] + inner.start;
                match ranges.last_mut() {
                    Some((last, n)) if *last + *n == start => *n += inner.len(),
                    _ => ranges.push((start, inner.len())),
                }
            }
        }
        Ok(ranges)
    }

    fn check(&self, site: Site, cfg: &Config, len: usize) -> Result<()> {
        let named = [
            (Axis::Pos, self.pos, len),
            (Axis::Head, self.head, cfg.n_heads),
            (Axis::Dest, self.dest, len),
            (Axis::Src, self.src, len),
        ];
        for (axis, index, size) in named {
            let Some(index) = index else { continue };
            if !site.axes().contains(&axis) {
                return Err(Error::input("input.place", format!("{site} has no axis '{}'", axis.name())));
            }
            if index >= size {
                return Err(Error::input(
                    "input.place",
                    format!(
                        "{site}: {} {index} is outside its {size} ({:?})",
                        axis.name(),
                        site.shape(cfg, len)
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cfg() -> Config {
        Config::from_json(br#"{"n_layer":2,"n_head":3,"n_embd":12,"n_positions":8,"vocab_size":9}"#).unwrap()
    }

    #[test]
    fn whole_activations_are_one_range() {
        for site in Site::all() {
            let len: usize = site.shape(&cfg(), 5).iter().product();
            assert_eq!(Place::default().ranges(site, &cfg(), 5).unwrap(), [(0, len)], "{site}");
        }
    }

    #[test]
    fn a_head_of_z_is_a_slice_of_every_row() {
        let place = Place { head: Some(1), ..Place::default() };
        assert_eq!(place.ranges(Site::Z, &cfg(), 2).unwrap(), [(4, 4), (16, 4)]);
        let cell = Place { head: Some(2), dest: Some(1), src: Some(0), ..Place::default() };
        assert_eq!(cell.ranges(Site::Pattern, &cfg(), 2).unwrap(), [(10, 1)]);
    }

    #[test]
    fn places_outside_the_shape_are_errors() {
        for (site, place) in [
            (Site::Z, Place { head: Some(3), ..Place::default() }),
            (Site::ResidPre, Place { pos: Some(5), ..Place::default() }),
            (Site::ResidPre, Place { head: Some(0), ..Place::default() }),
            (Site::Pattern, Place { pos: Some(0), ..Place::default() }),
        ] {
            assert_eq!(place.ranges(site, &cfg(), 5).unwrap_err().code, "input.place");
        }
    }
}
