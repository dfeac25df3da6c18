//! Which matrix-product kernel an adapter takes for how many rows.

use super::kernels::{self, Kernel};
use crate::error::Error;
use std::fmt;
use std::str::FromStr;

/// The kernels for one row to [`Variants::FEW`], to [`Variants::SKINNY`], and for more. Written and read as their names
/// with `/` between, so that a page may store what [`super::Gpu::variants`] says and pin it next time.
#[derive(Clone, Copy, Debug)]
pub struct Variants {
    pub few: &'static Kernel,
    pub skinny: &'static Kernel,
    pub tile: &'static Kernel,
}

/// A range of row counts, with the candidates for it and the rows that they are measured on.
pub struct Class {
    pub rows: usize,
    pub hardware: &'static [&'static Kernel],
    /// Without workgroup memory: a software adapter runs it many times slower.
    pub software: &'static [&'static Kernel],
}

impl Variants {
    /// Most rows of the first class.
    pub const FEW: usize = 4;
    /// Most rows of the second.
    pub const SKINNY: usize = 32;

    /// What each class chooses from: six kernels in all.
    pub const CLASSES: [Class; 3] = [
        Class {
            rows: 1,
            hardware: &[&kernels::LINEAR_FEW, &kernels::LINEAR_1X8],
            software: &[&kernels::LINEAR_1X8],
        },
        Class {
            rows: 12,
            hardware: &[&kernels::LINEAR_FEW, &kernels::LINEAR_8X8],
            software: &[&kernels::LINEAR_12X16, &kernels::LINEAR_8X8],
        },
        Class {
            rows: 64,
            hardware: &[&kernels::LINEAR_SHARED, &kernels::LINEAR_8X8],
            software: &[&kernels::LINEAR_16X16, &kernels::LINEAR_8X8],
        },
    ];

    /// The first candidates.
    pub fn untuned(software: bool) -> Self {
        let first = |class: &Class| if software { class.software[0] } else { class.hardware[0] };
        let [few, skinny, tile] = &Self::CLASSES;
        Self { few: first(few), skinny: first(skinny), tile: first(tile) }
    }

    /// Candidates that this adapter will not take.
    pub(super) fn left_out(software: bool, pinned: Option<Self>) -> Vec<&'static str> {
        let own = |class: &Class| if software { class.software } else { class.hardware };
        let mut wanted: Vec<_> = Self::CLASSES.iter().flat_map(own).map(|kernel| kernel.name).collect();
        if let Some(Self { few, skinny, tile }) = pinned {
            wanted = vec![few.name, skinny.name, tile.name];
        }
        let all = Self::CLASSES.iter().flat_map(|class| class.hardware.iter().chain(class.software));
        all.map(|kernel| kernel.name).filter(|name| !wanted.contains(name)).collect()
    }

    /// The same kernel for any number of rows.
    pub fn only(kernel: &'static Kernel) -> Self {
        Self { few: kernel, skinny: kernel, tile: kernel }
    }

    pub(super) fn linear(&self, rows: usize) -> &'static Kernel {
        if rows <= Self::FEW {
            self.few
        } else if rows <= Self::SKINNY {
            self.skinny
        } else {
            self.tile
        }
    }

    /// The kernel for rows times rows of W_U: large tiles in registers win where they do for [`Variants::linear`].
    pub(super) fn unembed(&self, rows: usize) -> &'static Kernel {
        let large = self.linear(rows).tile == kernels::LINEAR_16X16.tile
            || self.linear(rows).tile == kernels::LINEAR_12X16.tile;
        match rows {
            0 | 1 => &kernels::UNEMBED_1X8,
            _ if large && rows > Self::FEW => &kernels::UNEMBED_16X16,
            _ => &kernels::UNEMBED_8X4,
        }
    }
}

impl fmt::Display for Variants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.few.name, self.skinny.name, self.tile.name)
    }
}

impl FromStr for Variants {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let candidate = |name: &str| {
            let all = Self::CLASSES.iter().flat_map(|class| class.hardware.iter().chain(class.software));
            all.copied().find(|kernel| kernel.name == name)
        };
        let found: Option<Vec<_>> = text.split('/').map(candidate).collect();
        match found.as_deref() {
            Some([few, skinny, tile]) => Ok(Self { few, skinny, tile }),
            _ => Err(Error::input(
                "input.variants",
                format!("variants: '{text}', expected three kernels such as {}", Self::untuned(false)),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_back_as_it_is_written() {
        for software in [true, false] {
            let written = Variants::untuned(software).to_string();
            assert_eq!(written.parse::<Variants>().unwrap().to_string(), written);
        }
        for wrong in
            ["", "linear_few", "linear_few/linear_few/edit", "linear_few/linear_few/linear_few/linear_few"]
        {
            assert_eq!(wrong.parse::<Variants>().unwrap_err().code, "input.variants", "{wrong}");
        }
    }

    #[test]
    fn at_most_six_are_tried() {
        let all: std::collections::BTreeSet<_> = (Variants::CLASSES.iter())
            .flat_map(|class| class.hardware.iter().chain(class.software).map(|kernel| kernel.name))
            .collect();
        assert!(all.len() <= 6, "{all:?}");
    }
}
