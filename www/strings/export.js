// What the export menu says.
export const EXPORT = {
  open: "Export",
  label: (/** @type {string} */ section) => `Export: ${section}`,
  formats: { png: "PNG", svg: "SVG", csv: "CSV", json: "JSON", npz: "NPZ" },
  titles: {
    png: "The picture, in twice as many pixels", svg: "The picture, as shapes and text", csv: "A row for each number, for spreadsheets and data frames",
    json: "The whole result, as the command line prints it", npz: "Arrays for NumPy: np.load reads them",
  },
  python: "Python script",
  libraries: { transformer_lens: "TransformerLens", nnsight: "nnsight" },
  save: "Save",
  copy: "Copy",
  saveLabel: (/** @type {string} */ library) => `Save the script for ${library}`,
  copyLabel: (/** @type {string} */ library) => `Copy the script for ${library}`,
  paper: "Picture on",
  papers: /** @type {[string, string][]} */ ([["page", "the page’s colours"], ["white", "white paper"], ["none", "nothing: transparent"]]),
  saved: (/** @type {string} */ file) => `${file} is made.`,
  copied: "Copied.",
  byHand: "This browser does not let the page copy. Select the text below and copy it:",
  saveByHand: "If nothing was saved, this browser does not let the page save files.",
  noNnsight: (/** @type {string} */ why) => `Not for nnsight: ${why}.`,
  rawWeights: "nnsight runs the raw weights; the script says what that changes.",
  wait: "The model that this was measured on is not open: its tokens are needed. Wait for it, or load it again.",
  tooMany: "So many numbers are too many for CSV; NPZ and JSON have them all.",
  failed: (/** @type {string} */ why) => `That did not work: ${why}`,
  loading: "Loading …",
};

/** The menu beside it, before it is opened: strings/embed_menu.js has the rest. */
export const EMBED_OPEN = { open: "Embed", label: (/** @type {string} */ section) => `Embed: ${section}` };
