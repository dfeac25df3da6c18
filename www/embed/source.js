// Where a figure's JSON comes from, a script inside the element or an address; and where its links to the lab lead.
import { LabError } from "../errors.js";
import { EMBED } from "../strings/embed.js";
import { LAB } from "./lab_page.js";

/** @param {Element} element @returns {string} empty where there is none */
export const jsonIn = (element) => element.querySelector('script[type="application/json"]')?.textContent?.trim() ?? "";

/**
 * Waits until the parser is done with an element: a script with `async` may meet it half read.
 * @param {Node} element
 * @returns {Promise<unknown>}
 */
export function parsed(element) {
  if (document.readyState !== "loading") return Promise.resolve();
  // What comes after it, or after anything around it, was read later.
  for (let node = /** @type {Node | null} */ (element); node; node = node.parentNode) if (node.nextSibling) return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
}

/** @param {string} address from the page's own, as any `src` @returns {Promise<string>} */
export async function textOf(address) {
  if (!URL.canParse(address, document.baseURI)) throw new LabError("figure.src", EMBED.badAddress(address));
  const { href } = new URL(address, document.baseURI);
  const response = await fetch(href).catch((cause) => {
    throw new LabError("net.unreachable", EMBED.unreachable(href, cause.message));
  });
  if (!response.ok) throw new LabError("net.status", EMBED.unreachable(href, String(response.status)));
  return response.text();
}

/** The lab's page, by the attribute `lab` or this site's own. @param {Element} figure @returns {string | null} */
export function labOf(figure) {
  const given = figure.getAttribute("lab");
  return given && URL.canParse(given, document.baseURI) ? new URL(given, document.baseURI).href : LAB;
}

/** What a link to the lab may be about, for comparing. @param {import("./spec.js").Spec} spec @param {string} model */
export const about = ({ experiment, head }, model) => JSON.stringify([experiment, head, model]);
