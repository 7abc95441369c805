// The service worker of the exported site: keeps all its files, so that it works offline.

const LIST = "files.json";
const LATER = /engine\/.*asyncify/; // of WebGPU: kept when a browser first asks for them

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const { version, files } = await (await fetch(LIST, { cache: "no-store" })).json();
      const cache = await caches.open(version);
      await cache.addAll(["./", LIST, ...files.filter((name) => name !== "sw.js")]);
      for (const name of await caches.keys()) if (name !== version) await caches.delete(name);
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  event.respondWith(answered(request));
});

async function answered(request) {
  const kept = await caches.match(request, { ignoreSearch: true });
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok && LATER.test(request.url)) {
    const [version] = await caches.keys();
    const cache = await caches.open(version);
    await cache.put(request, answer.clone());
  }
  return answer;
}
