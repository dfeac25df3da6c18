// Which adapters were checked, kept between visits: see self_test.js. One that failed is checked again the next time.

const KEY = "microtome.self_test";
/** A machine has one adapter or two, but browsers and builds are replaced again and again. */
const MOST = 8;

/** @returns {import("./self_test.js").Tested} */
export function recallTests() {
  try {
    return Object(JSON.parse(localStorage.getItem(KEY) ?? "{}"));
  } catch {
    return {}; // storage that is forbidden, or holds something else
  }
}

/** @param {string} key @param {import("./microtome.js").SelfTest} selfTest */
export function rememberTest(key, selfTest) {
  const { [key]: known, ...others } = recallTests();
  // An older record, or one that somebody else wrote, gives way: it was not believed, or there would be no new one.
  if (JSON.stringify(known) === JSON.stringify(selfTest)) return;
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries([...Object.entries(others).slice(1 - MOST), [key, selfTest]])));
  } catch {
    // Full or forbidden: the next visit checks again.
  }
}
