// A file laid out as openai-community/gpt2's model.safetensors: its 160 tensors, masks included, its header of 14,283 bytes, so
// that the data begins at an odd place, 548,105,171 bytes in all. Values are seeded. The order of the tensors is one that a
// header of that length can state (vectors first); the published one is not known here. With fewer layers the same, smaller.

/** @typedef {[name: string, shape: number[]]} Tensor */

const [D, LAYERS, VOCAB, CONTEXT] = [768, 12, 50_257, 1024];
const HEADER = 14_283;
/** Bytes of the whole file. */
export const FILE_BYTES = 548_105_171;
/** Bytes of the values that are parameters: all but the masks. */
export const PARAMETER_BYTES = 497_759_232;

export const CONFIG = configOf(LAYERS);

/** @param {number} layers */
export function configOf(layers) {
  return JSON.stringify({
    model_type: "gpt2", architectures: ["GPT2LMHeadModel"], activation_function: "gelu_new", layer_norm_epsilon: 1e-5,
    n_layer: layers, n_head: 12, n_embd: D, n_positions: CONTEXT, n_ctx: CONTEXT, vocab_size: VOCAB, bos_token_id: 50_256,
  });
}

/** @param {number} layers @returns {Tensor[]} in the order of the file */
function tensors(layers) {
  /** @type {Tensor[]} */
  const all = [["wte.weight", [VOCAB, D]], ["wpe.weight", [CONTEXT, D]], ["ln_f.weight", [D]], ["ln_f.bias", [D]]];
  for (let layer = 0; layer < layers; layer += 1) {
    for (const [name, ...shape] of /** @type {[string, ...number[]][]} */ ([
      ["attn.bias", 1, 1, CONTEXT, CONTEXT], ["attn.c_attn.bias", 3 * D], ["attn.c_attn.weight", D, 3 * D], ["attn.c_proj.bias", D],
      ["attn.c_proj.weight", D, D], ["ln_1.bias", D], ["ln_1.weight", D], ["ln_2.bias", D], ["ln_2.weight", D],
      ["mlp.c_fc.bias", 4 * D], ["mlp.c_fc.weight", D, 4 * D], ["mlp.c_proj.bias", D], ["mlp.c_proj.weight", 4 * D, D],
    ])) all.push([`h.${layer}.${name}`, shape]);
  }
  const size = (/** @type {number[]} */ shape) => shape.reduce((a, b) => a * b, 1);
  return all.sort(([a, x], [b, y]) => Number(x.length > 1) - Number(y.length > 1) || size(x) - size(y) || (a < b ? -1 : 1));
}

/** The file. Takes a second or two, and half a gigabyte. @param {number} seed */
export function gpt2Layout(seed, layers = LAYERS) {
  /** @type {Record<string, unknown>} */
  const header = { __metadata__: { format: "pt" } };
  let at = 0;
  const list = tensors(layers).map(([name, shape]) => {
    const length = shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype: "F32", shape, data_offsets: [at, at + 4 * length] };
    at += 4 * length;
    return { name, length };
  });
  const file = Buffer.alloc(8 + HEADER + at, " ");
  file.writeBigUInt64LE(BigInt(HEADER), 0);
  const text = JSON.stringify(header);
  if (text.length > HEADER) throw new Error(`the header has ${text.length} bytes`);
  file.write(text, 8);
  let state = seed | 0;
  let offset = 8 + HEADER;
  for (const { name, length } of list) {
    const values = new Float32Array(length);
    if (name.endsWith("attn.bias")) {
      for (let row = 0; row < CONTEXT; row += 1) values.fill(1, row * CONTEXT, row * CONTEXT + row + 1);
    } else {
      const middle = /ln_.\.weight$/.test(name) ? 1 : 0;
      for (let i = 0; i < length; i += 1) {
        // xorshift32 (Marsaglia, 2003): uniform, of deviation 0.02 about.
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        values[i] = middle + state * 1.6e-11;
      }
    }
    file.set(new Uint8Array(values.buffer), offset);
    offset += 4 * length;
  }
  return file;
}
