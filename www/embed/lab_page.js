/**
 * The lab's page, which “Open in the lab” leads to. The npm package has no such page, and null here.
 * @type {string | null}
 */
export const LAB = new URL("../", import.meta.url).href;
