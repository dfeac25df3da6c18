// What the axes of figures are called. The engine's own titles, which the command line shares, are their names here. Not in
// the one table: the embedded figure needs them, and does not load the lab's words.

/** @type {Record<string, string>} */
const AXES = {
  Layer: "Layer", Head: "Head", Position: "Position", Destination: "Destination", Source: "Source", Site: "Site", Set: "Set", Pattern: "Pattern",
};

/** The word for an axis; a title of the page's own is one already. @param {string} title */
export const axisWord = (title) => AXES[title] ?? title;

/** What stands before an index where there is no room for the word: `L1`, `H2`. @type {Record<string, string>} */
export const SHORT_AXES = { Layer: "L", Head: "H" };
