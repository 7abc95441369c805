// Jobs of this browser, kept in its own database: files, frames and corrections.

const NAME = "everybody";

function request(asked) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

async function jobs(mode) {
  const opening = indexedDB.open(NAME, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("jobs", { keyPath: "id" });
  const database = await request(opening);
  return database.transaction("jobs", mode).objectStore("jobs");
}

export const allJobs = async () => request((await jobs("readonly")).getAll());
export const oneJob = async (id) => request((await jobs("readonly")).get(id));
export const keepJob = async (job) => request((await jobs("readwrite")).put(job));
export const dropJob = async (id) => request((await jobs("readwrite")).delete(id));
