// “Open in the lab”: to what the links of a figure lead. Loaded when somebody is about to follow one.
import { about, labOf } from "./source.js";

/** @typedef {import("./spec.js").Spec} Spec */

/** @param {{ origin: string, pathname: string }} url */
const pageOf = ({ origin, pathname }) => origin + pathname.replace(/\/index\.html$/, "/");

/** The links whose address was made here, and what each is about. @type {WeakMap<HTMLAnchorElement, string>} */
const made = new WeakMap();

/**
 * Lets a link to the lab lead to an experiment, unless its author has said what it leads to.
 * @param {HTMLAnchorElement} link
 * @param {Element} figure
 * @param {{ spec: Spec, model: string, first: string | null }} now `first`: what the author's own links are about
 */
export async function lead(link, figure, { spec, model, first }) {
  const lab = labOf(figure);
  if (lab === null || !URL.canParse(link.href)) return;
  const to = new URL(link.href);
  const wanted = about(spec, model);
  if (pageOf(to) !== pageOf(new URL(lab)) || (to.hash && (made.get(link) ?? first) === wanted)) return;
  const { hashOf } = await import("./open.js");
  const hash = await hashOf(spec, model);
  // What the lab has no fields for leaves the link as it is.
  if (hash === null) return;
  to.hash = hash;
  link.href = to.href;
  made.set(link, wanted);
}
