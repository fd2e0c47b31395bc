// On every page: says when one is offline, and keeps the files for opening offline.
const AGAIN_MS = 2000;
const banner = document.getElementById("offline");
const offlinePage = document.querySelector("[data-reload]");

function tell() {
  banner.hidden = navigator.onLine || offlinePage !== null;
}

// The system says that it is online before the first requests get through.
async function leave() {
  if (!navigator.onLine) return;
  try {
    await fetch("/healthz/live", { method: "HEAD", cache: "no-store" });
    location.reload();
  } catch {
    setTimeout(leave, AGAIN_MS);
  }
}

addEventListener("offline", tell);
addEventListener("online", tell);
tell();
if (offlinePage) {
  addEventListener("online", leave);
  setTimeout(leave, AGAIN_MS);
}
navigator.serviceWorker?.register("/service-worker.js").catch((error) => console.warn(error));
