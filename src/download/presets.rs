//! Models that the page offers by name, pinned to a commit, with what is known of their files.
//!
//! A hash stands here only where several independent publications agree on it at that commit. What is not known here, the
//! Hub is asked for at that commit: its list of files, their lengths, and the SHA-256 under which it stores each.

use super::response::Promise;

/// A repository at a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// `owner/name`
    pub repo: &'static str,
    /// 40 hexadecimal digits.
    pub commit: &'static str,
    /// The files that are fetched, where every length is known; otherwise those whose hash is known, of the Hub's list.
    pub files: &'static [PresetFile],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresetFile {
    pub name: &'static str,
    /// Bytes.
    pub size: Option<u64>,
    /// Lower-case hexadecimal: a SHA-256 of 64 digits, or git's own hash of 40.
    pub hash: &'static str,
}

impl Preset {
    pub fn find(repo: &str, commit: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.repo == repo && preset.commit == commit)
    }

    /// Whether the Hub need not be asked for its list of files.
    pub fn is_complete(&self) -> bool {
        !self.files.is_empty() && self.files.iter().all(|file| file.size.is_some())
    }

    /// What is known of a file.
    pub fn promise(&self, name: &str) -> Option<Promise> {
        self.files.iter().find(|file| file.name == name).and_then(|file| Promise::from_hex(file.hash))
    }
}

const fn file(name: &'static str, size: u64, hash: &'static str) -> PresetFile {
    PresetFile { name, size: Some(size), hash }
}

/// A file of which the publications give no length.
const fn hash(name: &'static str, hash: &'static str) -> PresetFile {
    PresetFile { name, size: None, hash }
}

/// The same in every repository of GPT-2 that has it.
const TOKENIZER: PresetFile =
    file("tokenizer.json", 1_355_256, "8414cab924d8b9b33013f0d221c5862f365ee9be39c5c2bfae8a5a9e970478a6");

/// Every preset.
pub const PRESETS: &[Preset] = &[
    Preset {
        repo: "openai-community/gpt2",
        commit: "607a30d783dfa663caf39e06633721c8d4cfcd7e",
        files: &[
            file("config.json", 665, "10c66461e4c109db5a2196bff4bb59be30396ed8"),
            file("vocab.json", 1_042_301, "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"),
            file("merges.txt", 456_318, "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
            file(
                "model.safetensors",
                548_105_171,
                "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
            ),
        ],
    },
    // ALLPROTO/core-lm-cross-model-lab, models.json; for config.json also SyedNaveedMahmood/kd-sink,
    // protocols/s1_artifact_partial_v1.json; for all of them the manifest of NetLLM's GPT-2 medium.
    Preset {
        repo: "openai-community/gpt2-medium",
        commit: "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
        files: &[
            file("config.json", 718, "ef1a44d889ad1a0acc7731c78134f1b87d2d222f110e97dd10fd4117331caf22"),
            TOKENIZER,
            file(
                "model.safetensors",
                1_519_984_962,
                "fc5a354a19255ad494f3d71549390baca1ccf61d1d822b9408971705c687c9cd",
            ),
        ],
    },
    // SyedNaveedMahmood/kd-sink, protocols/s1_artifact_partial_v1.json, and the model manifest of K-Forcing's audit on
    // LM1B, both at this commit.
    Preset {
        repo: "openai-community/gpt2-large",
        commit: "32b71b12589c2f8d625668d2335a01cac3249519",
        files: &[hash(
            "model.safetensors",
            "5f47f3e12f91cd33b662ce7e433b6150ad5512b5884a2cee961b50e9c3bbebce",
        )],
    },
    // mikepfrank/GPT-2-tools, VERIFICATION.md, which compared a downloaded file with the Hub's own entry, and the
    // checkpoint record of EasyEdit's GPT-2 xl, both at this commit.
    Preset {
        repo: "openai-community/gpt2-xl",
        commit: "15ea56dee5df4983c59b2538573817e1667135e2",
        files: &[hash(
            "model.safetensors",
            "0f8b28eb05a8075f48b61b6f35332978c74fc7763fa9fb4051a1c30511736a6a",
        )],
    },
    // Several manifests at this commit, some of which say that they were compared with the Hub's own entry.
    Preset {
        repo: "distilbert/distilgpt2",
        commit: "2290a62682d06624634c1f46a6ad5be0f47f38aa",
        files: &[
            file("config.json", 762, "4ec5947c1d59fee6212cdf3b0ec1a53eac02092554c5ff0a733488cbd2c64f3a"),
            TOKENIZER,
            file(
                "model.safetensors",
                352_824_413,
                "e1ff18884359fe8beb795a5f414feb85a6ce3d929ad019c0d958c039d2b94a1b",
            ),
        ],
    },
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
            assert!(preset.promise("model.safetensors").is_some_and(|promise| promise.sha256().is_some()));
            let names: Vec<&str> = preset.files.iter().map(|file| file.name).collect();
            assert!(!preset.is_complete() || names.contains(&"config.json"), "{}: {names:?}", preset.repo);
            assert_eq!(Preset::find(preset.repo, preset.commit), Some(preset));
        }
        assert_eq!(PRESETS.iter().filter(|preset| preset.is_complete()).count(), 3);
        assert_eq!(Preset::find("openai-community/gpt2", "main"), None);
    }
}
