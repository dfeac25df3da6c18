// Keeps the counts of the join page current.

/** Milliseconds between two questions. */
const EVERY = 2_000;

/** Milliseconds that the rate is the mean of. */
const SPAN = 10_000;

const counts = ["loaded", "laptops", "bytes", "rate"].map((id) => /** @type {HTMLOutputElement} */ (document.getElementById(id)));
const lost = /** @type {HTMLElement} */ (document.getElementById("lost"));
const megabytes = new Intl.NumberFormat(navigator.language, { maximumFractionDigits: 1 });

/** What was served when, of the last moments. @type {{ at: number, bytes: number }[]} */
let seen = [];

/** Bits a second. @param {number} bytes served until now */
function rate(bytes) {
  const at = performance.now();
  // A server that was started again counts from zero.
  seen = [...seen.filter((before) => at - before.at <= SPAN && before.bytes <= bytes), { at, bytes }];
  const [first] = seen;
  return at > first.at ? (8e3 * (bytes - first.bytes)) / (at - first.at) : 0;
}

/** `{ laptops, loaded, bytes }`: see src/cli/room/counts.rs. */
async function look() {
  try {
    const response = await fetch("join.json", { cache: "no-store" });
    if (!response.ok) throw new Error(String(response.status));
    const { loaded, laptops, bytes } = await response.json();
    const texts = [loaded, laptops, megabytes.format(bytes / 1e6), megabytes.format(rate(bytes) / 1e6)].map(String);
    counts.forEach((output, i) => {
      if (output.textContent !== texts[i]) output.textContent = texts[i];
    });
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
  setTimeout(look, EVERY);
}
look();
