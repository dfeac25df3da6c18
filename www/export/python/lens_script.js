// A whole script for TransformerLens: what it is, how the model is loaded, the functions, what is printed.
import { functionFor, switchesOf } from "./lens.js";
import { indented, py, pyString } from "./literal.js";
import { isHub, placeOf, placeOfSource } from "./origin.js";

/** @typedef {import("./origin.js").Source} Source */
/** @typedef {import("./origin.js").Place} Place */
/** @typedef {import("../tokens.js").Ids} Ids */

/** What the scripts were checked with: tests/golden/requirements.txt has the same. */
export const PINS = "torch==2.15.0 transformers==4.57.6 transformer_lens==2.18.0 numpy==1.26.4";

/** @param {import("../../microtome.js").Processing | undefined} processing */
const loadBody = (processing) => {
  const switches = switchesOf(processing);
  return `def load(model=MODEL, revision=REVISION, step=STEP):
    """Hugging Face's GPT-2 as TransformerLens holds it, its weights processed as on the page.

    HookedTransformer.from_pretrained does the same for the names that it knows, at their newest revision. Eager attention:
    the other kind ignores scale_attn_by_inverse_layer_idx.
    """
    hf = GPT2LMHeadModel.from_pretrained(model, revision=revision, attn_implementation="eager", dtype=torch.float32)
    if step is not None:
        add_step(hf, model, step)
    c = hf.config
    cfg = HookedTransformerConfig(
        n_layers=c.n_layer, n_heads=c.n_head, d_model=c.n_embd, d_head=c.n_embd // c.n_head, d_mlp=c.n_inner or 4 * c.n_embd,
        d_vocab=c.vocab_size, n_ctx=c.n_positions, act_fn=c.activation_function, eps=c.layer_norm_epsilon,
        use_attn_scale=c.scale_attn_weights, scale_attn_by_inverse_layer_idx=c.scale_attn_by_inverse_layer_idx,
        normalization_type="${switches.fold_ln ? "LNPre" : "LN"}", device="cpu",
    )
    state = {name: weight.detach().clone() for name, weight in convert_gpt2_weights(hf, cfg).items()}
    hooked = HookedTransformer(cfg)
    hooked.load_and_process_state_dict(state, ${Object.entries(switches).map(([name, on]) => `${name}=${py(on)}`).join(", ")})
    return hooked.eval()`;
};

const ADD_STEP = `def add_step(hf, folder, step):
    """Makes a checkpoint of the folder's training of the model it ended with.

    step-N.safetensors has the difference of each matrix as integers with a scale for each row, and vectors themselves.
    """
    with safe_open(Path(folder) / f"step-{step}.safetensors", "pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}
    weights = hf.state_dict()
    for name, value in stored.items():
        if name.endswith(".scale"):
            continue
        weight = weights[name if name in weights else f"transformer.{name}"]
        if f"{name}.scale" in stored:
            weight += (stored[f"{name}.scale"][:, None] * value.reshape(len(value), -1).float()).view_as(weight)
        else:
            weight.copy_(value)`;

const CHECK = `def check(folder):
    """Says so when the folder holds other weights than the page's."""
    file = Path(folder) / "model.safetensors"
    if file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        print(f"{file} is not the file that the page had: expect other numbers", file=sys.stderr)`;

const HELPERS = `def tokens(prompt):
    return torch.tensor([prompt["ids"]])  # [batch, pos]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def number(value):
    """JSON has no infinities, and neither has the page's result: they are null."""
    return value if value is not None and math.isfinite(value) else None`;

/**
 * The script.
 * @param {any} experiment as understood
 * @param {{ source: Source, ids: Ids, about: string[], steps?: number[] }} options `about`: lines of text for the top; `steps`:
 *   those that a training asked
 */
export function lensScript(experiment, { source, ids, about, steps }) {
  const training = experiment.kind === "training";
  const place = placeOfSource(source);
  const all = training ? experiment.experiments ?? [experiment.experiment] : [experiment];
  // One checkpoint is loaded once for all that is asked of it with the same processing.
  const processings = [...new Set(all.map((/** @type {any} */ one) => JSON.stringify(switchesOf(one.processing))))];
  if (processings.length > 1) throw new Error("A script over checkpoints has one weight processing for all of its experiments.");
  const names = all.map((/** @type {any} */ one, /** @type {number} */ i) => (training ? `${one.kind}_${i + 1}` : one.kind));
  const functions = all.map((/** @type {any} */ one, /** @type {number} */ i) =>
    functionFor(names[i], one, { ids, bos: one.prepend_bos !== false, n_layers: source.n_layers }));
  const body = functions.join("\n\n\n");
  const stepped = training || place.step !== null;
  const uses = (/** @type {string} */ word) => new RegExp(`\\b${word}\\b`).test(body);
  const checked = source.sha256 && !isHub(source.address) && !stepped;
  const modules = [
    uses("itertools") && "itertools", "json", (uses("math") || uses("number")) && "math", "sys", checked && "hashlib",
  ].filter(Boolean).sort();
  const from = [uses("partial") && "from functools import partial", (checked || stepped) && "from pathlib import Path"].filter(Boolean).sort();
  const lens = ["HookedTransformer", "HookedTransformerConfig", ...["head_detector", "patching", "utils"].filter(uses)];
  const parts = [
    [...about.map((line) => (line ? `# ${line}` : "#"))].join("\n"),
    [...modules.map((name) => `import ${name}`), ...from].join("\n"),
    [uses("np") && "import numpy as np", "import torch", stepped && "from safetensors import safe_open",
      `from transformer_lens import ${lens.join(", ")}`,
      "from transformer_lens.pretrained.weight_conversions.gpt2 import convert_gpt2_weights",
      "from transformers import GPT2LMHeadModel"].filter(Boolean).join("\n"),
    `MODEL = sys.argv[1] if len(sys.argv) > 1 else ${pyString(place.model)}  # ${isHub(source.address) ? "of the Hugging Face Hub, or a folder" : "a folder with config.json and model.safetensors"}
REVISION = ${py(place.revision)}
STEP = ${py(place.step)}${checked ? `\nSHA256 = ${py(source.sha256)}  # of model.safetensors` : ""}
torch.set_grad_enabled(False)`,
    `\n${stepped ? `${ADD_STEP}\n\n\n` : ""}${checked ? `${CHECK}\n\n\n` : ""}${loadBody(all[0].processing)}`,
    `\n${HELPERS}`,
    `\n${body}`,
    `\n${training ? trainingMain(experiment, source, names, all, steps ?? []) : main(experiment.kind, Boolean(checked))}`,
  ];
  return `${parts.join("\n\n")}\n`;
}

/** @param {string} kind @param {boolean} checked */
const main = (kind, checked) => `if __name__ == "__main__":
${checked ? "    check(MODEL)\n" : ""}    print(json.dumps({"version": 1, "kind": ${pyString(kind)}, **${kind}(load())}))`;

/**
 * @param {any} experiment
 * @param {Source} source
 * @param {string[]} names of the functions
 * @param {any[]} all
 * @param {number[]} steps
 */
function trainingMain({ checkpoints }, source, names, all, steps) {
  const tuple = (/** @type {Place} */ { model, revision, step }, /** @type {number} */ at) => `(${at}, ${pyString(model)}, ${py(revision)}, ${py(step)})`;
  let list;
  if (Array.isArray(checkpoints)) list = steps.map((step) => tuple(placeOf(checkpoints[step]), step));
  else if (typeof checkpoints === "string") list = steps.map((step) => tuple(placeOf(checkpoints.replace("{step}", String(step))), step));
  const questions = names.map((name, i) => `(${pyString(all[i].kind)}, ${name})`);
  return `${list ? `# Step, model, revision on the Hub, step in the model's own folder.
CHECKPOINTS = [
${indented(list.join(",\n"))},
]` : `STEPS = ${py(steps)}
CHECKPOINTS = [${isHub(source.address) ? `(step, MODEL, f"checkpoint-{step}", None)` : "(step, MODEL, None, step)"} for step in STEPS]`}
QUESTIONS = [
${indented(questions.join(",\n"))},
]

if __name__ == "__main__":
    checkpoints = []
    for at, model, revision, step in CHECKPOINTS:
        print(f"step {at}", file=sys.stderr)
        hooked = load(model, revision, step)
        checkpoints.append({"step": at, "answers": [{"kind": kind, **question(hooked)} for kind, question in QUESTIONS]})
    print(json.dumps({"version": 1, "kind": "training", "checkpoints": checkpoints}))`;
}
