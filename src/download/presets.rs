//! Models that the page offers by name, pinned to a commit, with what is known of their files.
//!
//! A hash stands here only where several independent publications agree on it; a file without one is checked by its
//! length where that is known, and shown as "hash unknown".

/// A repository at a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// `owner/name`
    pub repo: &'static str,
    /// 40 hexadecimal digits.
    pub commit: &'static str,
    /// The files that are fetched.
    pub files: &'static [PresetFile],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresetFile {
    pub name: &'static str,
    /// Bytes.
    pub size: Option<u64>,
    /// Lower-case hexadecimal.
    pub sha256: Option<&'static str>,
}

/// Every preset.
pub const PRESETS: &[Preset] = &[Preset {
    repo: "openai-community/gpt2",
    commit: "607a30d783dfa663caf39e06633721c8d4cfcd7e",
    files: &[
        PresetFile { name: "config.json", size: None, sha256: None },
        PresetFile {
            name: "vocab.json",
            size: Some(1_042_301),
            sha256: Some("196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"),
        },
        PresetFile {
            name: "merges.txt",
            size: Some(456_318),
            sha256: Some("1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
        },
        PresetFile {
            name: "model.safetensors",
            size: Some(548_105_171),
            sha256: Some("248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707"),
        },
    ],
}];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    #[test]
    fn every_preset_is_an_address_with_a_commit_and_well_formed_hashes() {
        let hex = |text: &str, len: usize| {
            text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        for preset in PRESETS {
            assert!(format!("hf:{}@{}", preset.repo, preset.commit).parse::<Address>().is_ok());
            assert!(hex(preset.commit, 40));
            assert!(preset.files.iter().filter_map(|file| file.sha256).all(|hash| hex(hash, 64)));
        }
    }
}
