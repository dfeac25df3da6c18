// Opt-in, for hosts that cannot send the headers of cross-origin isolation, and with them threads: registers a service
// worker that adds them from the next load on. A page takes part by
//   <script type="module" src="isolate.js"></script>
// which `microtome build --isolate` writes into the page. Nothing is ever reloaded, and nothing depends on it.
import { trusted } from "./spawn.js";

// A worker decides for the page in the address bar only; a page inside another one cannot isolate itself.
if (isSecureContext && !crossOriginIsolated && self === top && "serviceWorker" in navigator) {
  const script = trusted(new URL("./isolate_worker.js", import.meta.url).href);
  navigator.serviceWorker.register(script).catch((cause) => {
    console.info(`microtome: this page stays without threads, ${cause.message}`);
  });
}
