// What the “Embed” menu says, once it is opened.
export const EMBED_MENU = {
  intro: "Put this figure into a page of your own. Nothing is downloaded there before a reader clicks “Run live”.",
  ways: {
    element: { title: "With this result in it", about: (/** @type {string} */ host) => `Shows what you see now at once. The page has to allow scripts from ${host}.` },
    frame: { title: "As a frame", about: (/** @type {string} */ host) => `For pages that allow frames only: ${host} draws it, after a click.` },
    listener: { title: "Frames of the right height", about: () => "Once in the page, if it allows scripts: its frames become as high as their figures." },
  },
  copy: "Copy",
  copyLabel: (/** @type {string} */ what) => `Copy: ${what}`,
  copied: "Copied.",
  byHand: "This browser does not let the page copy. Select the text and copy it.",
  local: "This model is of your own files, or of this machine only: no other page could load it.",
  other: "The model that this was measured on is not the one that is open. Wait for its own result.",
  host: (/** @type {string} */ host) => `The model lies on ${host}. A frame shows what any link says, so it asks no host but this site’s and the Hub; the figure above does.`,
  unfinished: "The sweep is not complete. Let it run to its end, and the figure can be embedded.",
  panels: "This choice gives several heatmaps; an embedded figure draws one.",
  failed: (/** @type {string} */ why) => `That did not work: ${why}`,
};
