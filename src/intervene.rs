//! Interventions as data: a hook, a place in it, an edit. Never a closure, so they can be batched, sent to a worker
//! and written beside a figure.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::{Axis, HookName, Site};
use std::ops::Range;

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
    /// Becomes values that the batch gives, from element `at` on: an activation of the run's own shape, or, without
    /// `per_pos`, one position's, which stands for all.
    Given { at: usize, per_pos: bool },
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

    /// The positions (`dest`, for scores and patterns) in a run of `len` tokens.
    pub fn positions(&self, len: usize) -> Range<usize> {
        self.pos.or(self.dest).map_or(0..len, |i| i..i + 1)
    }

    /// The heads of `n_heads`.
    pub fn heads(&self, n_heads: usize) -> Range<usize> {
        self.head.map_or(0..n_heads, |i| i..i + 1)
    }

    /// # Errors
    /// `input.place` when an index is outside the shape or the site has no such axis.
    pub fn check(&self, site: Site, cfg: &Config, len: usize) -> Result<()> {
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
    fn places_outside_the_shape_are_errors() {
        for (site, place) in [
            (Site::Z, Place { head: Some(3), ..Place::default() }),
            (Site::ResidPre, Place { pos: Some(5), ..Place::default() }),
            (Site::ResidPre, Place { head: Some(0), ..Place::default() }),
            (Site::Pattern, Place { pos: Some(0), ..Place::default() }),
        ] {
            assert_eq!(place.check(site, &cfg(), 5).unwrap_err().code, "input.place");
        }
    }
}
