// On every page: says when one is offline, and keeps the files for opening offline.
const banner = document.getElementById("offline");
const offlinePage = document.querySelector("[data-reload]");

function tell() {
  banner.hidden = navigator.onLine || offlinePage !== null;
}

addEventListener("offline", tell);
addEventListener("online", () => {
  tell();
  if (offlinePage) location.reload();
});
tell();
navigator.serviceWorker?.register("/service-worker.js").catch((error) => console.warn(error));
