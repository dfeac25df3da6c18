// A small GPT-2 with seeded random weights, made on the spot: what the engines are compared on. Its matrices are as wide as
// one head of the real models needs, so that the same kernels run; the vocabulary is odd on purpose.

export const TOY = { n_layer: 2, n_head: 2, n_embd: 128, n_positions: 32, vocab_size: 1031 };

/** @returns {import("./engine.js").ModelFiles} its `config.json` and `model.safetensors`, without a tokenizer */
export function toyModel() {
  const { n_layer, n_embd: d, n_positions, vocab_size } = TOY;
  const config = { ...TOY, model_type: "gpt2", activation_function: "gelu_new", layer_norm_epsilon: 1e-5, bos_token_id: 0, eos_token_id: 0 };
  /** @type {[string, number[], number, number][]} name, shape, mean and spread */
  const tensors = [["wte.weight", [vocab_size, d], 0, 0.3], ["wpe.weight", [n_positions, d], 0, 0.1], ...norm("ln_f")];
  for (let layer = 0; layer < n_layer; layer++) {
    const h = `h.${layer}.`;
    tensors.push(...norm(`${h}ln_1`), ...dense(`${h}attn.c_attn`, d, 3 * d), ...dense(`${h}attn.c_proj`, d, d),
      ...norm(`${h}ln_2`), ...dense(`${h}mlp.c_fc`, d, 4 * d), ...dense(`${h}mlp.c_proj`, 4 * d, d));
  }
  return { name: "toy", files: [
    { name: "config.json", blob: new Blob([JSON.stringify(config)]) },
    { name: "model.safetensors", blob: new Blob(/** @type {BlobPart[]} */ (safetensors(tensors))) },
  ] };

  /** @param {string} name @returns {[string, number[], number, number][]} */
  function norm(name) {
    return [[`${name}.weight`, [d], 1, 0.1], [`${name}.bias`, [d], 0, 0.1]];
  }

  /** @param {string} name @param {number} from @param {number} to @returns {[string, number[], number, number][]} */
  function dense(name, from, to) {
    return [[`${name}.weight`, [from, to], 0, 1.5 / Math.sqrt(from)], [`${name}.bias`, [to], 0, 0.1]];
  }
}

/** @param {[string, number[], number, number][]} tensors @returns {Uint8Array[]} */
function safetensors(tensors) {
  const next = random(20261123);
  /** @type {Record<string, unknown>} */
  const header = {};
  let end = 0;
  const data = tensors.map(([name, shape, mean, spread]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype: "F32", shape, data_offsets: [end, end += 4 * size] };
    const values = Float32Array.from({ length: size }, () => mean + spread * next());
    return new Uint8Array((name === "wpe.weight" ? values.map(coarse) : values).buffer);
  });
  let text = JSON.stringify(header);
  text = text.padEnd(Math.ceil(text.length / 8) * 8);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setUint32(0, text.length, true);
  return [length, new TextEncoder().encode(text), ...data];
}

/** Of 16 bit weights the CPU engine rounds the positions too, the GPU does not: these are the same in both. @param {number} x */
const coarse = (x) => Math.round(x * 1024) / 1024;

/** Numbers with mean 0 and variance 1, the same for the same seed: the sum of three even ones is near enough to a bell. @param {number} seed */
function random(seed) {
  const even = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32 - 0.5;
  };
  return () => 2 * (even() + even() + even());
}
