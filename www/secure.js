// Says what a page is without that browsers do not trust: one that came over plain http from another machine.
import { S } from "./strings.js";

/**
 * Nothing for a page that is trusted.
 * @returns {import("./microtome.js").Notice[]}
 */
export function distrust() {
  if (isSecureContext) return [];
  // The server says where it offers the same page over https: `<meta name="microtome-https" content="8080">`.
  const other = document.querySelector('meta[name="microtome-https"]')?.getAttribute("content");
  const { host, hostname, port } = location;
  const https = other && /^\d{1,5}$/.test(other) ? `https://${hostname}:${other}/` : null;
  return [{ code: "page.insecure", message: S.room.insecure(host, https, port && `:${port}`) }];
}
