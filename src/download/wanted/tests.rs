//! The order of files, with and without a list of them.

use super::*;

/// The names asked for when exactly `present` exist.
fn asked(catalog: Option<Catalog>, present: &[&str]) -> (Vec<String>, Result<()>) {
    let mut plan = Plan::new(catalog, None);
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
    Some(Catalog { files, ..Catalog::default() })
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
    let mut plan = Plan::new(Some(sizes), None);
    plan.next();
    assert_eq!(plan.outlook(Role::Config), Some(vec![Some(10), Some(100)]));
    assert_eq!(plan.outlook(Role::Weights(Format::Safetensors)), Some(vec![]));
    assert_eq!(Plan::new(None, None).outlook(Role::Config), None);
    let names = ["config.json", "model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors"];
    let mut plan = Plan::new(catalog(&names), None);
    plan.next();
    assert_eq!(plan.outlook(Role::Config).map(|rest| rest.len()), Some(3));
    assert_eq!(plan.outlook(Role::Index(Format::Safetensors)).map(|rest| rest.len()), Some(2));
    for (names, rest) in [
        (&["config.json", "pytorch_model.bin"][..], 1),
        (&["config.json", "pytorch_model-1.bin", "pytorch_model-2.bin", "pytorch_model.bin.index.json"], 3),
        // Shards of which no index tells are no weights.
        (&["config.json", "pytorch_model-1.bin", "pytorch_model-2.bin"], 0),
    ] {
        let mut plan = Plan::new(catalog(names), None);
        plan.next();
        assert_eq!(plan.outlook(Role::Config).map(|rest| rest.len()), Some(rest), "{names:?}");
    }
}

#[test]
fn the_difference_of_a_checkpoint_comes_last_and_an_unknown_step_ends_early() {
    let names = ["config.json", "model.safetensors", "step-5.safetensors"];
    let checkpoints = vec![
        Checkpoint { step: 5, file: Some("step-5.safetensors".into()) },
        Checkpoint { step: 9, file: None },
    ];
    let family = |step| Plan::new(catalog(&names).map(|all| Catalog { checkpoints, ..all }), Some(step));
    let asked = |mut plan: Plan| {
        let mut asked = Vec::new();
        while let Some((role, name)) = plan.next() {
            asked.push(name);
            if let Err(error) = plan.after(role, true, b"{}") {
                return (asked, Some(error.code.into_owned()));
            }
        }
        (asked, None)
    };
    let of = |step| asked(family.clone()(step));
    assert_eq!(of(5), (names.map(str::to_owned).to_vec(), None));
    assert_eq!(of(9), (names[..2].iter().map(|&name| name.to_owned()).collect(), None));
    assert_eq!(of(7), (vec!["config.json".to_owned()], Some("checkpoint.unknown".to_owned())));
    let mut sized = family(5);
    sized.next();
    assert_eq!(sized.outlook(Role::Config).map(|rest| rest.len()), Some(2));
}
