//! What a model needs of memory, said before it is loaded.

use super::{PIECE_BYTES, Storage, Weight};
use crate::config::Config;
use crate::error::{Error, Result};
use serde::Serialize;

/// Memory that an engine can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub bytes: u64,
    /// Whose it is, for people: `a browser tab's module`.
    pub of: &'static str,
}

/// What a model needs of memory at its peak, and whether there is room for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemoryPlan {
    pub precision: Storage,
    /// On the engine, for good.
    pub weights_bytes: u64,
    /// Besides, while loading: a few pieces of a file on their way through processing.
    pub loading_bytes: u64,
    /// Besides, while running: the activations of a sweep of middling size. What one experiment needs is in its estimate.
    pub running_bytes: u64,
    /// Weights and the larger of the other two.
    pub peak_bytes: u64,
    /// What there is; `None` where nobody can tell, as of a GPU.
    pub room_bytes: Option<u64>,
    pub fits: bool,
    /// What would fit, as a sentence, where this does not.
    pub instead: Option<String>,
    #[serde(skip)]
    room: Option<Room>,
}

/// The pieces of a weight that are in memory at once: as stored, as numbers, processed, on its way out.
const PIECES: u64 = 4;
const RUNNING_BYTES: u64 = 64 << 20;

/// The published sizes: name, layers, width.
const SIZES: [(&str, usize, usize); 4] =
    [("GPT-2 xl", 48, 1600), ("GPT-2 large", 36, 1280), ("GPT-2 medium", 24, 1024), ("GPT-2 small", 12, 768)];

impl MemoryPlan {
    /// The plan for a model that an engine would keep as `storage`.
    pub fn new(cfg: &Config, storage: Storage, room: Option<Room>) -> Self {
        let plan = Self::without_advice(cfg, storage, room);
        let instead = (!plan.fits).then(|| advice(cfg, storage, room));
        Self { instead, ..plan }
    }

    fn without_advice(cfg: &Config, storage: Storage, room: Option<Room>) -> Self {
        // With LayerNorm's own weights, which processing may drop.
        let weights_bytes = Weight::used(cfg, false)
            .map(|weight| {
                let elements: u64 = weight.shape(cfg).iter().map(|n| *n as u64).product();
                elements * storage.of(weight).bytes() as u64
            })
            .sum();
        let loading_bytes = PIECES * PIECE_BYTES;
        let peak_bytes = weights_bytes + loading_bytes.max(RUNNING_BYTES);
        Self {
            precision: storage,
            weights_bytes,
            loading_bytes,
            running_bytes: RUNNING_BYTES,
            peak_bytes,
            room_bytes: room.map(|room| room.bytes),
            fits: room.is_none_or(|room| peak_bytes <= room.bytes),
            instead: None,
            room,
        }
    }

    /// # Errors
    /// `model.too_large` with the numbers, and with what would fit.
    pub fn check(&self) -> Result<()> {
        let (Some(room), false) = (self.room, self.fits) else { return Ok(()) };
        let message = format!(
            "this model in {} needs {} at its peak, {} of them weights; {} has room for {}",
            self.precision,
            gigabytes(self.peak_bytes),
            gigabytes(self.weights_bytes),
            room.of,
            gigabytes(room.bytes),
        );
        let error = Error::input("model.too_large", message);
        Err(match &self.instead {
            Some(instead) => error.with_action(instead.clone()),
            None => error,
        })
    }
}

/// What fits where this model does not.
fn advice(cfg: &Config, storage: Storage, room: Option<Room>) -> String {
    let halves = MemoryPlan::without_advice(cfg, Storage::F16, room);
    if storage == Storage::F32 && halves.fits {
        return format!("Open it with f16 weights: they need {}.", gigabytes(halves.peak_bytes));
    }
    for (name, n_layers, d_model) in SIZES {
        let smaller =
            Config { n_layers, d_model, d_mlp: 4 * d_model, d_vocab: 50_257, n_ctx: 1024, ..cfg.clone() };
        for storage in [Storage::F32, Storage::F16] {
            let plan = MemoryPlan::without_advice(&smaller, storage, room);
            if plan.fits {
                return format!("{name} in {storage} fits: it needs {}.", gigabytes(plan.peak_bytes));
            }
        }
    }
    "No published GPT-2 fits; the model that comes with the page does.".into()
}

fn gigabytes(bytes: u64) -> String {
    if bytes < 1_000_000_000 {
        return format!("{:.0} MB", bytes as f64 / 1e6);
    }
    format!("{:.2} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpt2(n_layer: usize, n_head: usize, d_model: usize) -> Config {
        let json = format!(
            r#"{{"n_layer":{n_layer},"n_head":{n_head},"n_embd":{d_model},"n_positions":1024,"vocab_size":50257}}"#
        );
        Config::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn small_is_one_table_of_embeddings_and_its_layers() {
        let plan = MemoryPlan::new(&gpt2(12, 12, 768), Storage::F32, None);
        // Every parameter, a mean for each token and b_U.
        assert_eq!(plan.weights_bytes, 4 * (124_439_808 + 2 * 50_257));
        assert!(plan.fits && plan.instead.is_none() && plan.room_bytes.is_none());
        let halves = MemoryPlan::new(&gpt2(12, 12, 768), Storage::F16, None);
        assert!(halves.weights_bytes < plan.weights_bytes * 51 / 100);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_numbers_and_with_what_would() {
        let room = Some(Room { bytes: 4 << 30, of: "a browser tab's module" });
        let refusal = |cfg: &Config, storage| MemoryPlan::new(cfg, storage, room).check();
        let (large, xl) = (gpt2(36, 20, 1280), gpt2(48, 25, 1600));
        assert!(refusal(&large, Storage::F32).is_ok());
        let error = refusal(&xl, Storage::F32).unwrap_err();
        assert_eq!(error.code, "model.too_large");
        for word in ["6.30 GB", "6.23 GB", "4.29 GB", "a browser tab's module"] {
            assert!(error.message.contains(word), "{word} in: {}", error.message);
        }
        assert_eq!(error.action.as_deref(), Some("Open it with f16 weights: they need 3.19 GB."));
        let small = Some(Room { bytes: 1 << 30, of: "this machine" });
        let error = MemoryPlan::new(&xl, Storage::F16, small).check().unwrap_err();
        assert_eq!(error.action.as_deref(), Some("GPT-2 medium in f16 fits: it needs 780 MB."));
        let none = Some(Room { bytes: 1 << 20, of: "this machine" });
        let error = MemoryPlan::new(&xl, Storage::F16, none).check().unwrap_err();
        assert!(error.action.unwrap().starts_with("No published GPT-2 fits"));
    }
}
