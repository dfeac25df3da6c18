// The models that the page offers. Those of the Hub are pinned to a commit; what is known of their files, hashes above all,
// is in `src/download/presets.rs`.

/** @typedef {{ address: string, title: string, params: number, bytes: number }} Preset `bytes`: of all its files */

/** @type {Preset[]} */
export const MODELS = [
  { address: "./models/pronoun/", title: "Pronouns", params: 1_071_872, bytes: 2_198_534 },
  { address: "hf:openai-community/gpt2@607a30d783dfa663caf39e06633721c8d4cfcd7e", title: "GPT-2 small", params: 124_439_808, bytes: 549_461_092 },
  { address: "hf:distilbert/distilgpt2@2290a62682d06624634c1f46a6ad5be0f47f38aa", title: "DistilGPT-2", params: 81_912_576, bytes: 354_180_431 },
  { address: "hf:openai-community/gpt2-medium@6dcaa7a952f72f9298047fd5137cd6e4f05f41da", title: "GPT-2 medium", params: 354_823_168, bytes: 1_521_340_936 },
];

/** What is loaded without being asked for. */
export const FIRST = MODELS[0].address;

/** Bytes of memory that the weights take in an engine. @param {Preset} preset @param {"f32" | "f16"} precision */
export const memoryOf = ({ params }, precision) => params * (precision === "f16" ? 2 : 4);
