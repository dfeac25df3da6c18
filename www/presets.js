// The models that the page offers. Those of the Hub are pinned to a commit; what is known of their files, hashes above all,
// is in `src/download/presets.rs`.

/**
 * @typedef {{ address: string, title: string, params: number, bytes: number, peaks: Record<"f32" | "f16", number> }} Preset
 *   `bytes`: of all its files; `peaks`: what the memory plan says of it (`microtome plan`), by precision
 */

/** @type {Preset[]} */
export const MODELS = [
  { address: "./models/pronoun/", title: "Pronouns", params: 1_071_872, bytes: 2_198_534, peaks: { f32: 71_412_736, f16: 69_315_584 } },
  { address: "hf:openai-community/gpt2@607a30d783dfa663caf39e06633721c8d4cfcd7e", title: "GPT-2 small",
    params: 124_439_808, bytes: 549_604_455, peaks: { f32: 565_270_152, f16: 318_206_088 } },
  { address: "hf:distilbert/distilgpt2@2290a62682d06624634c1f46a6ad5be0f47f38aa", title: "DistilGPT-2",
    params: 81_912_576, bytes: 354_180_431, peaks: { f32: 395_161_224, f16: 233_031_816 } },
  { address: "hf:openai-community/gpt2-medium@6dcaa7a952f72f9298047fd5137cd6e4f05f41da", title: "GPT-2 medium",
    params: 354_823_168, bytes: 1_521_340_936, peaks: { f32: 1_486_803_592, f16: 779_897_480 } },
  { address: "hf:openai-community/gpt2-large@32b71b12589c2f8d625668d2335a01cac3249519", title: "GPT-2 large",
    params: 774_030_080, bytes: 3_248_515_000, peaks: { f32: 3_163_631_240, f16: 1_619_395_720 } },
  { address: "hf:openai-community/gpt2-xl@15ea56dee5df4983c59b2538573817e1667135e2", title: "GPT-2 xl",
    params: 1_557_611_200, bytes: 6_433_185_909, peaks: { f32: 6_297_955_720, f16: 3_188_013_320 } },
];

/** What is loaded without being asked for: the page's own model, or the one that its server brought, `serve --model DIR`. */
export const FIRST = globalThis.document?.querySelector('meta[name="microtome-first"]')?.getAttribute("content") || MODELS[0].address;

/** Bytes of all files of a model that the page offers; null of any other. @param {string} address */
export const bytesOf = (address) => MODELS.find((model) => model.address === address)?.bytes ?? null;

/** Bytes that the CPU engine's memory may grow to in a tab. */
export const TAB_BYTES = 4_227_858_432;
