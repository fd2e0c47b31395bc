// Asks a server that may be busy: again after the pause that it names, so many times at most.
const TRIES = 6;
const LONGEST_PAUSE_S = 60;

const after = (seconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

/**
 * Like fetch; `told` is called with a sentence before each pause. A network that is gone is an
 * error, a server that stays busy answers with its last response.
 */
export async function patientFetch(address, options, told) {
  for (let tries = 1; ; tries += 1) {
    const response = await fetch(address, options);
    const pause = Number(response.headers.get("retry-after"));
    if (![429, 503].includes(response.status) || tries === TRIES || pause > LONGEST_PAUSE_S) return response;
    const seconds = Math.max(1, pause);
    told(`The server is busy. Trying again in ${seconds} second${seconds === 1 ? "" : "s"} (${tries} of ${TRIES - 1}).`, response);
    await after(seconds + Math.random() / 2, options.signal);
  }
}
