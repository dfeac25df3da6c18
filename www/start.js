// The page's first seconds: recorded results at once, the model by itself where nothing speaks against it.
import { diedLoading } from "./loading_mark.js";
import { FILES, fetchRecording } from "./recorded.js";
import { near } from "./views/later.js";

/** @typedef {import("./recorded.js").Recording} Recording */

/** Milliseconds that the sections wait for the recorded results, which the browser is told to fetch with the page's code. */
const MOST = 1000;

/**
 * The recorded results that the sections are first drawn with, so that nothing moves when they come. Those that take too long
 * are drawn later.
 * @returns {Promise<{ now: Recording[], late: Promise<Recording | null>[] }>}
 */
export async function firstRecordings() {
  const late = [FILES.first, ...(location.hash === "#training" ? [FILES.training] : [])].map(fetchRecording);
  const none = new Promise((resolve) => setTimeout(resolve, MOST, []));
  const now = await Promise.race([Promise.all(late), none]);
  return { now: now.filter(Boolean), late: now.length ? [] : late };
}

/** @param {import("./state.js").Store} store @param {import("./session.js").Session} session @param {Recording[]} recordings */
export function showRecorded(store, session, recordings) {
  for (const recording of recordings) {
    store.update("model", { recorded: recording.info });
    session.recordings.add(recording);
  }
}

/**
 * The rest, once the page is drawn.
 * @param {import("./state.js").Store} store @param {import("./session.js").Session} session
 * @param {Awaited<ReturnType<typeof firstRecordings>>["late"]} late
 */
export function start(store, session, late) {
  const why = diedLoading() ? "crash" : savesData() ? "data" : null;
  if (why) session.hold(why);
  else void painted().then(() => session.open());
  const show = (/** @type {Recording | null} */ recording) => recording && showRecorded(store, session, [recording]);
  for (const one of late) void one.then(show);
  session.recordings.onMiss(() => FILES.tasks.forEach((name) => void fetchRecording(name).then(show)));
  const training = document.getElementById("training")?.parentElement;
  if (training) near(training, () => void fetchRecording(FILES.training).then(show));
}

/** The engine must not keep the first paint waiting; in a tab that is not seen there is none to wait for. */
const painted = () => Promise.race([
  new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))), new Promise((resolve) => setTimeout(resolve, MOST)),
]);

/** Whether the browser asks pages to be sparing. Not every browser says. */
const savesData = () => Boolean(/** @type {any} */ (navigator).connection?.saveData);
