// For everyone: keys alone, fingers alone, forced colours, reduced motion, every language's numbers, hostile text.
import { everyoneLooks } from "./everyone_looks.mjs";
import { fingerChecks } from "./fingers.mjs";
import { hostileChecks } from "./hostile.mjs";
import { keyboardChecks } from "./keyboard.mjs";

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder
 * @param {string} url of a site with the real engine
 * @param {string} shots
 */
export async function everyoneChecks(browser, folder, url, shots) {
  await keyboardChecks(browser, url);
  await fingerChecks(browser, url, shots);
  await everyoneLooks(browser, url, shots);
  await hostileChecks(browser, folder, url);
}
