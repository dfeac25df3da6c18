// A result as JSON, as `microtome run` prints it, with the figure and the browser beside it. Pure.

/** The shortest decimals that are the same f32, as the command line prints those of a trace. @param {number} value */
function shortest(value) {
  if (!Number.isFinite(value)) return null;
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/**
 * @param {any} result @param {{ figure?: unknown, browser: string, address: string, unfinished?: boolean, recorded?: { made: string } | null }} beside
 *   `unfinished`: cells are missing, as null; `recorded`: when, where it was not computed in this browser
 */
export const jsonOf = (result, { figure, browser, address, unfinished, recorded }) => `${JSON.stringify({ ...result, ...(unfinished ? { incomplete: true } : {}), ...(figure ? { figure } : {}), exported: { address, ...(recorded ? { recorded: recorded.made } : { browser }) } },
  (_, value) => (value instanceof Float32Array ? Array.from(value, shortest) : value))}\n`;
