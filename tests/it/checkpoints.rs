//! The published checkpoints: for each its `config.json`, cut to what matters, and what comes of it. Their weights are
//! not at hand; that every layout of them loads is shown on models of a few numbers.

use crate::files::{Stored, load, same, stored};
use microtome::config::{ActFn, Config};
use safetensors::tensor::Dtype;
use serde_json::{Value, json};

fn read(config: &Value) -> microtome::Result<Config> {
    Config::from_json(config.to_string().as_bytes())
}

/// A GPT-2 configuration of these sizes with other fields over it; `null` there means absent.
fn gpt2(sizes: [u64; 5], others: Value) -> Value {
    let [n_layer, n_head, n_embd, vocab_size, n_positions] = sizes;
    let mut config = json!({
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
        "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-5, "model_type": "gpt2", "n_ctx": n_positions, "n_embd": n_embd,
        "n_head": n_head, "n_layer": n_layer, "n_positions": n_positions, "resid_pdrop": 0.1,
        "summary_activation": null, "summary_type": "cls_index", "vocab_size": vocab_size,
    });
    for (name, value) in others.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

/// The switches of stanford-crfm's training code.
fn stanford() -> Value {
    json!({"scale_attn_by_inverse_layer_idx": true, "reorder_and_upcast_attn": true, "n_inner": null,
           "scale_attn_weights": true, "use_cache": true})
}

#[test]
fn every_published_gpt2_is_read() {
    let inverse = |cfg: &Config| cfg.scale_attn_by_inverse_layer_idx;
    let plain = |cfg: &Config| !cfg.scale_attn_by_inverse_layer_idx && cfg.act_fn == ActFn::GeluNew;
    type Check = fn(&Config) -> bool;
    let rows: [(&str, Value, u64, Check); 19] = [
        ("openai-community/gpt2", gpt2([12, 12, 768, 50257, 1024], json!({})), 124_439_808, plain),
        ("openai-community/gpt2-medium", gpt2([24, 16, 1024, 50257, 1024], json!({})), 354_823_168, plain),
        ("openai-community/gpt2-large", gpt2([36, 20, 1280, 50257, 1024], json!({})), 774_030_080, plain),
        ("openai-community/gpt2-xl", gpt2([48, 25, 1600, 50257, 1024], json!({})), 1_557_611_200, plain),
        (
            "distilbert/distilgpt2",
            gpt2([6, 12, 768, 50257, 1024], json!({"_num_labels": 1, "id2label": {"0": "LABEL_0"}})),
            81_912_576,
            plain,
        ),
        (
            "stanford-crfm/alias-gpt2-small-x21",
            gpt2([12, 12, 768, 50257, 1024], stanford()),
            124_439_808,
            inverse,
        ),
        (
            "stanford-crfm/arwen-gpt2-medium-x21",
            gpt2([24, 16, 1024, 50257, 1024], stanford()),
            354_823_168,
            inverse,
        ),
        ("microsoft/DialoGPT-small", gpt2([12, 12, 768, 50257, 1024], json!({})), 124_439_808, plain),
        (
            "ai-forever/mGPT",
            gpt2([24, 16, 2048, 100_000, 2048], json!({"torch_dtype": "float32"})),
            1_417_596_928,
            |cfg| cfg.d_head == 128 && cfg.n_ctx == 2048,
        ),
        ("codeparrot/codeparrot-small", gpt2([12, 12, 768, 32_768, 1024], stanford()), 111_008_256, inverse),
        (
            "rhysjones/gpt2-774M-fineweb-150B",
            gpt2([36, 20, 1280, 50_304, 1024], json!({"torch_dtype": "bfloat16"})),
            774_090_240,
            plain,
        ),
        ("stanford-crfm/BioMedLM", gpt2([32, 20, 2560, 28_896, 1024], stanford()), 2_594_247_680, |cfg| {
            cfg.d_head == 128 && cfg.scale_attn_by_inverse_layer_idx
        }),
        (
            "goldfish-models/eng_latn_100mb",
            gpt2([4, 8, 512, 51_200, 512], json!({"activation_function": "gelu", "n_inner": 2048})),
            39_087_104,
            |cfg| cfg.act_fn == ActFn::Gelu && cfg.n_ctx == 512,
        ),
        ("sshleifer/tiny-gpt2", gpt2([2, 2, 2, 50257, 1024], json!({})), 102_714, |cfg| {
            cfg.d_head == 1 && cfg.d_mlp == 8
        }),
        (
            "hf-internal-testing/tiny-random-gpt2",
            gpt2(
                [5, 4, 32, 1000, 512],
                json!({"activation_function": "gelu", "n_inner": 37, "hidden_act": "gelu",
                  "intermediate_size": 37, "bos_token_id": 98}),
            ),
            82_393,
            |cfg| cfg.d_mlp == 37 && cfg.d_head == 8,
        ),
        // A configuration of 2019: no model_type, no architectures, only n_ctx.
        (
            "of the first release",
            json!({"initializer_range": 0.02, "layer_norm_epsilon": 1e-5, "n_ctx": 1024, "n_embd": 768,
                   "n_head": 12, "n_layer": 12, "vocab_size": 50257}),
            124_439_808,
            plain,
        ),
        ("with gelu_fast", gpt2([1, 2, 8, 5, 4], json!({"activation_function": "gelu_fast"})), 960, |cfg| {
            cfg.act_fn == ActFn::GeluNew
        }),
        (
            "with gelu_pytorch_tanh",
            gpt2([1, 2, 8, 5, 4], json!({"activation_function": "gelu_pytorch_tanh"})),
            960,
            |cfg| cfg.act_fn == ActFn::GeluNew,
        ),
        (
            "with its own lm_head and unscaled scores",
            gpt2(
                [1, 2, 8, 5, 4],
                json!({"tie_word_embeddings": false, "scale_attn_weights": false,
                                         "activation_function": "relu", "layer_norm_epsilon": 1e-12}),
            ),
            960 + 40,
            |cfg| (cfg.attn_scale(0), cfg.act_fn, cfg.eps) == (1.0, ActFn::Relu, 1e-12),
        ),
    ];
    for (name, config, n_params, check) in rows {
        let cfg = read(&config).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(cfg.n_params(), n_params, "{name}");
        assert!(check(&cfg), "{name}: {cfg:?}");
        let at = |field: &str| config[field].as_u64().map(|n| n as usize);
        assert_eq!((Some(cfg.n_layers), Some(cfg.d_vocab)), (at("n_layer"), at("vocab_size")), "{name}");
        assert_eq!((Some(cfg.n_ctx), cfg.d_head * cfg.n_heads), (at("n_ctx"), cfg.d_model), "{name}");
    }
}

/// Each way in which those checkpoints store their tensors gives the weights of the plain one.
#[test]
fn every_layout_of_theirs_loads() {
    // Prefix, type, type of the masks, masked_bias, lm_head stored.
    let layouts = [
        ("gpt2, medium, large, xl", "", Dtype::F32, Some(Dtype::F32), false, false),
        ("distilgpt2", "transformer.", Dtype::F32, Some(Dtype::F32), false, false),
        ("stanford-crfm, step 0", "transformer.", Dtype::F32, Some(Dtype::U8), true, true),
        ("stanford-crfm, later", "transformer.", Dtype::F16, Some(Dtype::U8), true, true),
        ("DialoGPT", "transformer.", Dtype::F16, Some(Dtype::F16), true, true),
        ("mGPT, codeparrot, BioMedLM", "transformer.", Dtype::F32, Some(Dtype::U8), true, true),
        ("mGPT in halves", "transformer.", Dtype::F16, Some(Dtype::BOOL), true, false),
        ("gpt2-774M-fineweb", "transformer.", Dtype::BF16, None, false, true),
        ("goldfish", "transformer.", Dtype::F32, None, false, false),
        ("tiny-random-gpt2", "", Dtype::F32, Some(Dtype::BOOL), true, false),
    ];
    let expected = load(&stored(Dtype::F32), true).unwrap();
    for (name, prefix, dtype, mask, masked_bias, head) in layouts {
        let mut tensors = Stored::new();
        for (tensor, stored) in stored(dtype) {
            tensors.insert(format!("{prefix}{tensor}"), stored);
        }
        for layer in 0..2 {
            let mut buffer = |buffer: &str, dtype: Dtype, shape: &[usize]| {
                let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
                let tensor = (dtype, shape.to_vec(), vec![1; bytes]);
                tensors.insert(format!("{prefix}h.{layer}.attn.{buffer}"), tensor);
            };
            if let Some(mask) = mask {
                buffer("bias", mask, &[1, 1, 3, 3]);
            }
            if masked_bias {
                buffer("masked_bias", dtype, &[]);
            }
        }
        if head {
            tensors.insert("lm_head.weight".into(), tensors[&format!("{prefix}wte.weight")].clone());
        }
        let loaded = load(&tensors, true).unwrap_or_else(|e| panic!("{name}: {e}"));
        same(&loaded, &expected);
    }
}

#[test]
fn what_is_not_gpt2_is_refused_with_what_it_is() {
    for (name, config, words) in [
        (
            "roneneldan/TinyStories-1M",
            json!({"model_type": "gpt_neo", "architectures": ["GPTNeoForCausalLM"], "hidden_size": 64,
                   "num_layers": 8, "num_heads": 16, "attention_types": [[["global", "local"], 4]]}),
            &["'gpt_neo'", "'gpt2'", "see only the last tokens", "GPTNeoForCausalLM", "'n_layer' is absent"]
                [..],
        ),
        (
            "EleutherAI/pythia-70m",
            json!({"model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"], "hidden_size": 512}),
            &["'gpt_neox'", "rotary", "GPTNeoXForCausalLM"],
        ),
        (
            "EleutherAI/gpt-j-6b",
            json!({"model_type": "gptj", "n_layer": 28, "n_head": 16, "n_embd": 4096}),
            &["'gptj'", "rotary"],
        ),
        (
            "a Llama",
            json!({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}),
            &["'llama'", "rotary", "LlamaForCausalLM"],
        ),
        ("a Qwen", json!({"model_type": "qwen3"}), &["'qwen3'", "rotary"]),
        ("a BERT", json!({"model_type": "bert"}), &["'bert'", "looks both ways"]),
        (
            "bigcode/santacoder's later form",
            json!({"model_type": "gpt_bigcode", "n_layer": 24, "n_head": 16, "n_embd": 2048}),
            &["'gpt_bigcode'", "share one key"],
        ),
        (
            "NeelNanda/GELU_1L512W_C4_Code",
            json!({"d_model": 512, "n_layers": 1, "n_heads": 8, "d_head": 64, "act_fn": "gelu", "n_ctx": 1024}),
            &["'d_model'", "TransformerLens' own toy models", "'n_embd' is absent"],
        ),
        (
            "of a kind nobody knows",
            json!({"model_type": "x\n".repeat(500), "n_layer": 1, "n_head": 1, "n_embd": 8}),
            &["'x x x", "expected 'gpt2'"],
        ),
        (
            "with cross-attention",
            gpt2([1, 1, 8, 5, 4], json!({"add_cross_attention": true})),
            &["add_cross_attention is true"],
        ),
        (
            "with another activation",
            gpt2([1, 1, 8, 5, 4], json!({"activation_function": "silu"})),
            &["'silu'", "gelu_new, gelu_fast, gelu_pytorch_tanh"],
        ),
    ] {
        let e = read(&config).expect_err(name);
        assert_eq!(e.code, "model.unsupported", "{name}: {e}");
        assert!(words.iter().all(|word| e.message.contains(word)), "{name}: {words:?} in: {e}");
        assert!(e.message.len() < 600 && !e.message.contains('\n'), "{name}: {e}");
        assert!(e.action.is_some_and(|action| action.contains("openai-community/gpt2")), "{name}");
    }
}

#[test]
fn a_hostile_config_is_refused_with_its_numbers() {
    let huge = |field: &str, value: Value| gpt2([1, 1, 8, 5, 4], json!({field: value}));
    for (config, words) in [
        (huge("n_layer", json!(65)), &["'n_layer' is 65", "1 to 64"][..]),
        (huge("n_layer", json!(u64::MAX)), &["18446744073709551615", "1 to 64"]),
        (huge("n_layer", json!(0)), &["'n_layer' is 0"]),
        (huge("n_layer", json!(-1)), &["-1"]),
        (huge("n_layer", json!(1e300)), &["1e+300"]),
        (huge("n_layer", json!("12")), &["12"]),
        (huge("n_embd", json!(8193)), &["'n_embd' is 8193", "8192"]),
        (huge("n_head", json!(257)), &["'n_head' is 257", "256"]),
        (huge("n_head", json!(3)), &["8 is not a multiple of n_head 3"]),
        (huge("n_inner", json!(65_537)), &["'n_inner'", "65536"]),
        (huge("n_positions", json!(1u64 << 40)), &["'n_positions'", "65536"]),
        (huge("vocab_size", json!(300_001)), &["'vocab_size' is 300001", "300000"]),
        (huge("vocab_size", json!(1_000_000_000)), &["1000000000"]),
        (huge("layer_norm_epsilon", json!(0)), &["layer_norm_epsilon is 0"]),
        (huge("layer_norm_epsilon", json!(1e-60)), &["layer_norm_epsilon is 0 in F32"]),
        (huge("layer_norm_epsilon", json!(-1e-5)), &["-0.00001"]),
        (huge("layer_norm_epsilon", json!(1e300)), &["inf"]),
        (huge("bos_token_id", json!(-1)), &["-1"]),
    ] {
        let e = read(&config).expect_err(words[0]);
        assert_eq!(e.code, "model.config", "{e}");
        assert!(words.iter().all(|word| e.message.contains(word)), "{words:?} in: {e}");
    }
    let deep = "[".repeat(100_000);
    let big = " ".repeat(2_000_000);
    let twice = r#"{"n_layer":1,"n_layer":64}"#;
    for (text, word) in [
        ("", "EOF"),
        ("[]", "not a model configuration"),
        ("<!DOCTYPE html>", "line 1"),
        ("\u{FEFF}{}", "line 1"),
        (&deep, "not a model configuration"),
        (&format!("{{\"x\":{deep}"), "not a model configuration"),
        (&big, "2000000 bytes"),
        (twice, "duplicate field"),
        (r#"{"n_layer":NaN}"#, "not a model configuration"),
    ] {
        let e = Config::from_json(text.as_bytes()).expect_err(word);
        assert_eq!(e.code, "model.config", "{e}");
        assert!(e.message.contains(word) && e.message.len() < 400, "'{word}' in: {e}");
    }
    assert_eq!(Config::from_json(b"\xFF\xFE").unwrap_err().code, "model.config");
    assert_eq!(read(&json!({})).unwrap_err().code, "model.unsupported");
}
