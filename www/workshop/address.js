// Under which address a class finds the workshop. Pure.

/** Names of the machine itself: whoever else opens them finds another one. @param {string} hostname */
const isOwn = (hostname) => hostname === "" || hostname === "0.0.0.0" || hostname === "[::1]" || hostname === "[::]" || /^127\.|(^|\.)localhost$/.test(hostname);

/**
 * The room's address where its server says one, else the page's own; null where that is one of this machine only.
 * @param {string} page the address of a page beside the workshop
 * @param {string | null | undefined} room as `serve --lan` writes it into its pages
 */
export function workshopAddress(page, room) {
  const url = [room, page].map((base) => (base && URL.canParse("./workshop.html", base) ? new URL("./workshop.html", base) : null))
    .find((url) => url && /^https?:$/.test(url.protocol) && !isOwn(url.hostname));
  return url?.href ?? null;
}
