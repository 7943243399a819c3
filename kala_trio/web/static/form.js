// Shows while one types when a job would run; the server says it, and creates nothing.

const PAUSE = 250; // in milliseconds, after the last key

const form = document.querySelector("form[data-preview]");
let timer = 0;
let asked = null;

async function show() {
  asked?.abort();
  asked = new AbortController();
  const body = new URLSearchParams(new FormData(form));
  try {
    const answer = await fetch(form.dataset.preview, { method: "POST", body, signal: asked.signal });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("preview");
    if (fresh) document.getElementById("preview").replaceChildren(...fresh.childNodes);
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(show, PAUSE);
});
