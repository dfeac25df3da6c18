// Keeps the counts of the join page current.

/** Milliseconds between two questions. */
const EVERY = 2_000;

const counts = ["loaded", "laptops", "bytes"].map((id) => /** @type {HTMLOutputElement} */ (document.getElementById(id)));
const lost = /** @type {HTMLElement} */ (document.getElementById("lost"));
const megabytes = new Intl.NumberFormat(navigator.language, { maximumFractionDigits: 1 });

/** `{ laptops, loaded, bytes }`: see src/cli/room/counts.rs. */
async function look() {
  try {
    const response = await fetch("join.json", { cache: "no-store" });
    if (!response.ok) throw new Error(String(response.status));
    const { loaded, laptops, bytes } = await response.json();
    const texts = [loaded, laptops, megabytes.format(bytes / 1e6)].map(String);
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
