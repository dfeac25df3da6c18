//! The order of files, with and without a list of them.

use super::*;

/// The names asked for when exactly `present` exist.
fn asked(catalog: Option<Catalog>, present: &[&str]) -> (Vec<String>, Result<()>) {
    let mut plan = Plan::new(catalog);
    let mut names = Vec::new();
    while let Some((role, name)) = plan.next() {
        if role == Role::Listing {
            plan.listing_done();
            continue;
        }
        let index = match role {
            Role::Index(Format::Torch) => r#"{"weight_map": {"a": "torch-2.bin", "b": "torch-1.bin"}}"#,
            _ => r#"{"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors"}}"#,
        };
        let found = present.contains(&name.as_str());
        names.push(name);
        if let Err(error) = plan.after(role, found, index.as_bytes()) {
            return (names, Err(error));
        }
    }
    (names, Ok(()))
}

fn catalog(names: &[&str]) -> Option<Catalog> {
    let files = names.iter().map(|name| ((*name).to_owned(), Entry::default())).collect();
    Some(Catalog { files, commit: None })
}

#[test]
fn names_are_tried_in_an_order_that_ends_early() {
    let (names, end) = asked(None, &["config.json", "tokenizer.json", "model.safetensors"]);
    assert_eq!(names, ["config.json", "tokenizer.json", "model.safetensors"]);
    end.unwrap();
    let (names, _) = asked(None, &["config.json", "vocab.json", "merges.txt", "pytorch_model.bin"]);
    let tried =
        ["tokenizer.json", "vocab.json", "merges.txt", "model.safetensors", "model.safetensors.index.json"];
    assert_eq!(names[1..6], tried);
    assert_eq!(names[6..], ["pytorch_model.bin"]);
    let (names, _) = asked(None, &["config.json", "model.safetensors.index.json"]);
    assert_eq!(names[5..], ["model-1.safetensors", "model-2.safetensors"]);
    let (names, end) = asked(None, &["config.json", "pytorch_model.bin.index.json"]);
    assert_eq!(
        names[5..],
        ["pytorch_model.bin", "pytorch_model.bin.index.json", "torch-1.bin", "torch-2.bin"]
    );
    end.unwrap();
    let (_, end) = asked(None, &["config.json"]);
    assert_eq!(end.expect_err("no weights").code, "file.missing");
}

#[test]
fn only_listed_files_are_asked_for() {
    let all =
        ["README.md", "config.json", "merges.txt", "model.safetensors", "pytorch_model.bin", "vocab.json"];
    let (names, _) = asked(catalog(&all), &all);
    assert_eq!(names, ["config.json", "vocab.json", "merges.txt", "model.safetensors"]);
    let (_, end) = asked(catalog(&["config.json", "model_final.pth"]), &["config.json"]);
    assert!(end.expect_err("no weights").message.ends_with("it has model_final.pth"));
}

#[test]
fn what_is_to_come_is_known_from_a_listing() {
    let mut sizes = catalog(&["config.json", "tokenizer.json", "model.safetensors"]).unwrap();
    for (entry, size) in sizes.files.values_mut().zip([1, 100, 10]) {
        entry.size = Some(size);
    }
    let mut plan = Plan::new(Some(sizes));
    plan.next();
    assert_eq!(plan.outlook(Role::Config), Some(vec![Some(10), Some(100)]));
    assert_eq!(plan.outlook(Role::Weights(Format::Safetensors)), Some(vec![]));
    assert_eq!(Plan::new(None).outlook(Role::Config), None);
    let names = ["config.json", "model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors"];
    let mut plan = Plan::new(catalog(&names));
    plan.next();
    assert_eq!(plan.outlook(Role::Config).map(|rest| rest.len()), Some(3));
    assert_eq!(plan.outlook(Role::Index(Format::Safetensors)).map(|rest| rest.len()), Some(2));
    for (names, rest) in [
        (&["config.json", "pytorch_model.bin"][..], 1),
        (&["config.json", "pytorch_model-1.bin", "pytorch_model-2.bin", "pytorch_model.bin.index.json"], 3),
        // Shards of which no index tells are no weights.
        (&["config.json", "pytorch_model-1.bin", "pytorch_model-2.bin"], 0),
    ] {
        let mut plan = Plan::new(catalog(names));
        plan.next();
        assert_eq!(plan.outlook(Role::Config).map(|rest| rest.len()), Some(rest), "{names:?}");
    }
}
