//! URLs, listings and presets.

use super::super::presets::PRESETS;
use super::*;

fn place(spec: &Spec) -> Place {
    Place::new(spec).unwrap()
}

#[test]
fn urls_are_the_hubs_and_the_folders() {
    let hub = place(&Spec::new("hf:a/b@refs/pr/1"));
    assert_eq!(hub.url("config.json"), "https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/config.json");
    assert_eq!(hub.listing_url(), "https://huggingface.co/api/models/a/b/revision/refs%2Fpr%2F1?blobs=true");
    let base = Some("https://x.org/lab/index.html".into());
    let folder = place(&Spec { base, ..Spec::new("./my models/gpt2/") });
    assert_eq!(folder.listing_url(), "https://x.org/lab/my%20models/gpt2/microtome.json");
    let web = Spec { consent: Some("y.org".into()), ..Spec::new("https://y.org/m") };
    assert_eq!(place(&web).url("config.json"), "https://y.org/m/config.json");
}

#[test]
fn nothing_is_asked_of_a_host_that_nobody_agreed_to() {
    for consent in [None, Some("x.org".into()), Some(String::new())] {
        let spec = Spec { consent, ..Spec::new("https://y.org/m") };
        assert_eq!(Place::new(&spec).err().unwrap().code, "address.consent");
    }
    assert_eq!(Place::new(&Spec::new("local")).err().unwrap().code, "address.local");
    assert_eq!(Place::new(&Spec::new("./m/")).err().unwrap().code, "address.base");
}

#[test]
fn a_listing_gives_sizes_hashes_and_the_commit() {
    let json = br#"{"id": "a/b", "sha": "607a30d783dfa663caf39e06633721c8d4cfcd7e", "siblings": [
        {"rfilename": "config.json", "size": 665, "blobId": "10c66461e4c109db5a2196bff4bb59be30396ed8"},
        {"rfilename": "model.safetensors", "size": 548105171, "lfs": {"size": 548105171, "pointerSize": 134,
         "sha256": "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707"}}]}"#;
    let mut place = place(&Spec::new("hf:a/b"));
    let catalog = place.read_listing(json).unwrap().unwrap();
    assert_eq!(place.revision, "607a30d783dfa663caf39e06633721c8d4cfcd7e");
    let config = Promise::Git("10c66461e4c109db5a2196bff4bb59be30396ed8".into());
    assert_eq!(
        catalog.files["config.json"],
        Entry { size: Some(665), hash: Some(config), parts: Vec::new() }
    );
    let hash = catalog.files["model.safetensors"].hash.as_ref().and_then(Promise::sha256);
    assert_eq!(hash.map(|hash| &hash[..8]), Some("248dfc39"));
    assert_eq!(place.read_listing(br#"{"error": "x"}"#).unwrap(), None);
}

#[test]
fn a_preset_is_known_at_its_commit_only() {
    let preset = &PRESETS[0];
    assert!(place(&Spec::new(format!("hf:{}@{}", preset.repo, preset.commit))).preset().is_some());
    assert!(place(&Spec::new(format!("hf:{}", preset.repo))).preset().is_none());
}

#[test]
fn a_published_hash_counts_whatever_a_list_says() {
    let commit = "32b71b12589c2f8d625668d2335a01cac3249519";
    let list = |name: &str| {
        format!(
            r#"{{"sha": "{commit}", "siblings": [{{"rfilename": "{name}", "size": 7, "lfs": {{"sha256": "{}"}}}}]}}"#,
            "a".repeat(64)
        )
    };
    let promised = |address: &str, role: Role, name: &str| {
        let mut place = place(&Spec::new(address));
        assert!(place.preset().is_none(), "its list is asked for");
        let catalog = place.read_listing(list(name).as_bytes()).unwrap().unwrap();
        let wanted = place.wanted(role, name, catalog.files.get(name), false);
        assert_eq!(
            (wanted.info.size, wanted.info.sha256.as_deref()),
            (Some(7), wanted.promise.as_ref().unwrap().sha256())
        );
        wanted.info.sha256.unwrap()[..4].to_owned()
    };
    let weights = Role::Weights(Format::Safetensors);
    let large = format!("hf:openai-community/gpt2-large@{commit}");
    assert_eq!(promised(&large, weights, "model.safetensors"), "5f47");
    assert_eq!(promised(&large, Role::Tokenizer, "tokenizer.json"), "aaaa", "only the Hub knows it");
    assert_eq!(promised("hf:a/gpt2-large", weights, "model.safetensors"), "aaaa");
}
