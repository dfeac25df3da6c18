//! Ablations and patches against a model of 9 tokens, 8 positions and no tokenizer.

use crate::config::Config;
use crate::experiment::Experiment;
use crate::lab::{Model, Question};
use crate::metric::Metric;
use crate::sweep::{Over, Sweep, Write};
use crate::weights::Weights;
use crate::{Error, Result};

fn resolve(kind: &str, fields: &str) -> Result<Sweep> {
    let cfg = br#"{"n_layer":3,"n_head":2,"n_embd":8,"n_positions":8,"vocab_size":9}"#;
    let weights = Weights::new(Config::from_json(cfg)?);
    let model = Model::new("small", Box::new(weights));
    let experiment = Experiment::from_json(&format!(r#"{{"version":1,"kind":"{kind}",{fields}}}"#))?;
    match model.resolve(&experiment)? {
        Question::Ablate(sweep) | Question::Patch { sweep, .. } => Ok(sweep),
        other => Err(Error::internal(format!("{other:?}"))),
    }
}

const HEADS: &str = r#""site":"z","axes":["layer","head"]"#;
const LOSS: &str = r#""metric":{"kind":"loss"}"#;

#[test]
fn a_token_of_a_prompt_goes_before_the_metric_s() {
    let prompts = r#""prompts":[{"prompt":[1,2],"correct":3},{"prompt":[4]}],"edit":{"kind":"zero"}"#;
    let metric = r#""metric":{"kind":"logit_diff","correct":5,"incorrect":6}"#;
    let sweep = resolve("ablate", &format!("{prompts},{HEADS},{metric}")).unwrap();
    let metrics: Vec<Metric> = sweep.cases.iter().map(|case| case.metric).collect();
    assert_eq!(metrics, [Metric::LogitDiff([3, 6]), Metric::LogitDiff([5, 6])]);
    assert_eq!(sweep.write, Write::Zero);
}

#[test]
fn every_prompt_is_resampled_from_every_reference() {
    let prompts = r#""prompts":[{"prompt":[1,2]},{"prompt":[3,4]}]"#;
    let edit = r#""edit":{"kind":"resample","prompts":[[5,6],[7,8]]}"#;
    let sweep = resolve("ablate", &format!("{prompts},{edit},{HEADS},{LOSS}")).unwrap();
    assert_eq!(sweep.write, Write::Copy);
    assert_eq!(sweep.cases[1].tokens, [3, 4]);
    assert_eq!(sweep.cases[1].sources, [[5, 6], [7, 8]]);
}

#[test]
fn a_patch_copies_the_clean_prompt_of_each_pair_into_the_corrupted() {
    let pairs = r#""pairs":[{"clean":[1,2],"corrupted":[3,4]},{"clean":[1,2,3],"corrupted":[3,4,5]}]"#;
    let sweep = resolve("patch", &format!("{pairs},{HEADS},{LOSS}")).unwrap();
    assert_eq!((&sweep.cases[1].tokens, &sweep.cases[1].sources), (&vec![3, 4, 5], &vec![vec![1, 2, 3]]));
}

#[test]
fn a_mean_over_tokens_takes_references_of_any_length() {
    let edit = r#""prompt":[1,2,3],"edit":{"kind":"mean","prompts":[[1],[2,3,4,5]]}"#;
    let sweep = resolve("ablate", &format!("{edit},{HEADS},{LOSS}")).unwrap();
    let prompts = vec![vec![1], vec![2, 3, 4, 5]];
    assert_eq!(sweep.write, Write::Mean { prompts, over: Over::Tokens });
}

#[test]
fn wrong_sweeps_are_errors_that_name_the_place() {
    let mean = |over: &str, prompts: &str| {
        format!(r#""edit":{{"kind":"mean","over":"{over}","prompts":{prompts}}},{LOSS}"#)
    };
    let resample = |prompts: &str| format!(r#""edit":{{"kind":"resample","prompts":{prompts}}},{LOSS}"#);
    let zero = format!(r#""edit":{{"kind":"zero"}},{LOSS}"#);
    let patterns = r#""site":"pattern","axes":["head"]"#;
    let (one, uneven) = (r#""prompt":[1,2]"#, r#""prompts":[{"prompt":[1,2]},{"prompt":[3,4,5]}]"#);
    let pairs = r#""pairs":[{"clean":[1,2],"corrupted":[3,4]},{"clean":[1,2],"corrupted":[3,4,5]}]"#;
    for (kind, fields, code, words) in [
        ("ablate", format!(r#""prompts":[],{HEADS},{zero}"#), "input.invalid", "prompts: is empty"),
        (
            "ablate",
            format!(r#""prompts":[{{"prompt":[1,2]}},{{"prompt":[1,9]}}],{HEADS},{zero}"#),
            "input.token",
            "prompts[1]: token id 9",
        ),
        (
            "ablate",
            format!(r#""prompts":[{{"prompt":[1,2]}},{{"prompt":[1]}}],{HEADS},{zero}"#),
            "input.length",
            "prompts[1]: the loss needs",
        ),
        ("ablate", format!("{one},{HEADS},{}", resample("[]")), "input.invalid", "edit.prompts: is empty"),
        (
            "ablate",
            format!("{one},{HEADS},{}", mean("tokens", "[]")),
            "input.invalid",
            "edit.prompts: is empty",
        ),
        (
            "ablate",
            format!("{one},{HEADS},{}", resample("[[1,2],[7,6,5]]")),
            "input.lengths_differ",
            "prompt has 2 tokens and edit.prompts[1] 3, expected the same number; prompt | edit.prompts[1]: 0: 1 | 7; 1: 2 | 6; 2: — | 5",
        ),
        (
            "ablate",
            format!("{uneven},{HEADS},{}", mean("prompts", "[[1,2]]")),
            "input.lengths_differ",
            "prompts[1] has 3 tokens and edit.prompts[0] 2",
        ),
        ("ablate", format!("{one},{patterns},{}", mean("tokens", "[[1]]")), "input.edit", "'pattern'"),
        (
            "ablate",
            format!(
                r#"{one},"sets":[[{{"site":"z"}},{{"site":"attn_scores"}}]],{}"#,
                mean("tokens", "[[1]]")
            ),
            "input.edit",
            "'attn_scores'",
        ),
        (
            "ablate",
            format!(r#"{uneven},"site":"z","axes":["pos"],{zero}"#),
            "input.lengths_differ",
            "prompt 1 3, expected the same number for the axis 'pos'",
        ),
        (
            "ablate",
            format!(r#"{uneven},"sets":[[{{"site":"z","pos":0}}]],{zero}"#),
            "input.lengths_differ",
            "sets[0][0]: prompt 0 has 2",
        ),
        ("ablate", format!(r#"{one},"sets":[],{zero}"#), "input.invalid", "sets: is empty"),
        ("ablate", format!(r#"{one},"sets":[[]],{zero}"#), "input.invalid", "sets[0]: is empty"),
        ("ablate", format!(r#"{one},"sites":[],"axes":[],{zero}"#), "input.invalid", "sites: is empty"),
        ("patch", format!("{pairs},{HEADS},{LOSS}"), "input.lengths_differ", "pairs[1]: clean has 2 tokens"),
        (
            "patch",
            format!(r#""pairs":[{{"clean":[1,2],"corrupted":[3,9]}}],{HEADS},{LOSS}"#),
            "input.token",
            "pairs[0]: corrupted: token id 9",
        ),
    ] {
        let error = resolve(kind, &fields).unwrap_err();
        assert_eq!(error.code, code, "{fields}: {error}");
        assert!(error.message.contains(words), "{fields}: {error}");
    }
}

#[test]
fn a_mean_of_patterns_over_prompts_is_a_question() {
    let edit = r#""prompt":[1,2],"edit":{"kind":"mean","over":"prompts","prompts":[[3,4],[5,6]]}"#;
    let sweep = resolve("ablate", &format!(r#"{edit},"site":"pattern","axes":["head"],{LOSS}"#)).unwrap();
    assert_eq!(sweep.write, Write::Mean { prompts: vec![vec![3, 4], vec![5, 6]], over: Over::Prompts });
}
