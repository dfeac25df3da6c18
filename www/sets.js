// Sets of places as people write them: “L9H6, MLP10” ↔ a list of places. Pure.
import { LabError } from "./errors.js";
import { S } from "./strings.js";

/** @typedef {import("./microtome.js").SetPlace} SetPlace */

/** The forms of one part; `site` is what a head is switched off at. @type {[RegExp, (i: number[], site: "v" | "z") => SetPlace[]][]} */
const FORMS = [
  [/^L(\d+)\s*[.H]\s*(\d+)$|^(\d+)\.(\d+)$/i, ([layer, head], site) => [{ site, layer, head }]],
  [/^(?:MLP\s*|M)(\d+)$|^L(\d+)\s*MLP$/i, ([layer]) => [{ site: "mlp_out", layer }]],
  [/^(?:attn\s*|A)(\d+)$|^L(\d+)\s*attn$/i, ([layer]) => [{ site: "attn_out", layer }]],
  // A layer writes to the residual stream through these two.
  [/^L(?:ayer\s*)?(\d+)$/i, ([layer]) => [{ site: "attn_out", layer }, { site: "mlp_out", layer }]],
];

/**
 * @param {string[]} texts one set each; empty ones are left out
 * @param {"v" | "z"} site of heads
 * @returns {SetPlace[][]}
 */
export function parseSets(texts, site) {
  const sets = texts.flatMap((text, i) => (text.trim() ? [parseSet(text, site, S.ablate.set(i + 1))] : []));
  if (!sets.length) throw new LabError("input.set", S.ablate.noSets, S.ablate.setForms);
  return sets;
}

/** @param {string} text @param {"v" | "z"} site @param {string} name of the set, for people */
function parseSet(text, site, name) {
  const parts = text.split(/[,;+&]/).map((part) => part.trim()).filter(Boolean);
  return parts.flatMap((part) => {
    for (const [form, places] of FORMS) {
      const found = form.exec(part);
      if (found) return places(found.slice(1).filter((n) => n !== undefined).map(Number), site);
    }
    throw new LabError("input.set", S.ablate.badPlace(name, part), S.ablate.setForms);
  });
}
