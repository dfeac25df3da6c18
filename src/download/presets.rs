//! Models that the page offers by name, pinned to a commit, with what is known of their files.
//!
//! A hash stands here only where several independent publications agree on it. Of a preset without a list of files the
//! Hub is asked for one, at that commit.

/// A repository at a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// `owner/name`
    pub repo: &'static str,
    /// 40 hexadecimal digits.
    pub commit: &'static str,
    /// The files that are fetched; empty where that is asked of the Hub.
    pub files: &'static [PresetFile],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresetFile {
    pub name: &'static str,
    /// Bytes.
    pub size: u64,
    /// Lower-case hexadecimal: a SHA-256 of 64 digits, or git's own hash of 40.
    pub hash: &'static str,
}

/// Every preset.
pub const PRESETS: &[Preset] = &[
    Preset {
        repo: "openai-community/gpt2",
        commit: "607a30d783dfa663caf39e06633721c8d4cfcd7e",
        files: &[
            PresetFile { name: "config.json", size: 665, hash: "10c66461e4c109db5a2196bff4bb59be30396ed8" },
            PresetFile {
                name: "vocab.json",
                size: 1_042_301,
                hash: "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
            },
            PresetFile {
                name: "merges.txt",
                size: 456_318,
                hash: "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
            },
            PresetFile {
                name: "model.safetensors",
                size: 548_105_171,
                hash: "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
            },
        ],
    },
    Preset {
        repo: "openai-community/gpt2-medium",
        commit: "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
        files: &[],
    },
    Preset {
        repo: "openai-community/gpt2-large",
        commit: "32b71b12589c2f8d625668d2335a01cac3249519",
        files: &[],
    },
    Preset {
        repo: "openai-community/gpt2-xl",
        commit: "15ea56dee5df4983c59b2538573817e1667135e2",
        files: &[],
    },
    Preset { repo: "distilbert/distilgpt2", commit: "2290a62682d06624634c1f46a6ad5be0f47f38aa", files: &[] },
];

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
            assert!(preset.files.iter().all(|file| hex(file.hash, 64) || hex(file.hash, 40)));
        }
    }
}
