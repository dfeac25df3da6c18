// What an author copies to embed a figure: the element with its result, or an <iframe>. Pure.

/** @param {string} text as an attribute's value, or between tags */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/**
 * @param {{ hash: string, title: string, base: string }} figure `hash`: what `link.js` encodes, without “#”; `title`: what
 *   screen readers call the frame; `base`: the site's address
 * @returns {string} HTML, of which nothing that was typed is more than text
 */
export const snippetOf = ({ hash, title, base }) => `<iframe src="${escaped(new URL(`embed.html#${hash}`, base).href)}" title="${escaped(title)}" width="100%" height="480" loading="lazy" allow="clipboard-write; fullscreen"></iframe>`;

/**
 * The element with a figure's result in it, which is drawn before anything else is loaded.
 * @param {{ spec: object, model: string, title: string, hash: string, base: string }} figure `spec`: what the element reads;
 *   `model`: its address; `hash`: where the lab has the same; `base`: the site's address
 * @returns {string} HTML, of which nothing that was typed is more than text
 */
export const elementOf = ({ spec, model, title, hash, base }) => `<script type="module" src="${escaped(new URL("element.js", base).href)}"></script>
<microtome-figure model="${escaped(model)}" heading="${escaped(title)}">
<script type="application/json">${JSON.stringify(spec).replaceAll("<", "\\u003c")}</script>
<a href="${escaped(new URL(hash && `#${hash}`, base).href)}">Open in the lab</a>
</microtome-figure>`;

/**
 * The listener that lets such frames be as high as their figures; once a page, not once a frame. A frame that is sandboxed
 * without `allow-same-origin` has the origin "null", as others have: it counts where the page has set its address.
 * @param {string} base the site's address
 * @returns {string} HTML
 */
export const listenerOf = (base) => `<script>
addEventListener("message", ({ origin, source, data }) => {
  if (![${JSON.stringify(new URL(base).origin)}, "null"].includes(origin) || data?.type !== "microtome:resize" || !(data.height > 0 && data.height < 4000)) return;
  for (const frame of document.querySelectorAll("iframe"))
    if (frame.contentWindow === source && frame.src.startsWith(${JSON.stringify(new URL("embed.html", base).href)})) frame.height = data.height;
});
</script>`;
