// What embed.html says instead of a figure.
export const EMBED_PAGE = {
  noFigure: "This link leads to no figure that can be embedded: attention, ablation or patching.",
  host: (/** @type {string} */ host) => `The model of this figure lies on ${host}. A frame shows what any link says, so it asks no host that the link has chosen.`,
  hostAction: "The lab asks you first:",
  lab: "Open in the lab",
};
