// Shows what a run writes, as it writes it; colours of terminals become classes.

import { refresh } from "./live.js";

const MOST = 1024 * 1024; // so many characters are shown: the latest
const ESCAPE = /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[^[\]]/g;
const CONTROLS = /[\x00-\x08\x0b-\x0d\x0e-\x1f\x7f-\x9f]/g;
const HALF = /\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,200}\x1b?)?$/; // the rest may be yet to come
const STYLES = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 9: "strike" };
const ENDS = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 29: ["strike"] };

class Screen {
  constructor(pre) {
    this.pre = pre;
    this.rest = "";
    this.shown = 0;
    this.styles = new Set();
    this.colour = "";
    this.ground = "";
  }

  write(text) {
    text = (this.rest + text).replaceAll("\r\n", "\n");
    const half = text.match(HALF);
    this.rest = half ? half[0] : "";
    if (half) text = text.slice(0, half.index);
    const pieces = document.createDocumentFragment();
    let from = 0;
    for (const found of text.matchAll(ESCAPE)) {
      this.add(pieces, text.slice(from, found.index));
      from = found.index + found[0].length;
      if (found[2] === "m") this.style(found[1]);
    }
    this.add(pieces, text.slice(from));
    const isAtEnd = this.pre.scrollTop + this.pre.clientHeight >= this.pre.scrollHeight - 8;
    this.pre.append(pieces);
    while (this.shown > MOST && this.pre.childNodes.length > 1) {
      this.shown -= this.pre.firstChild.textContent.length;
      this.pre.firstChild.remove();
    }
    if (isAtEnd) this.pre.scrollTop = this.pre.scrollHeight;
  }

  add(pieces, text) {
    text = text.replace(CONTROLS, "");
    if (!text) return;
    this.shown += text.length;
    const classes = [...this.styles].map((each) => `sgr-${each}`);
    if (this.colour) classes.push(`sgr-${this.colour}`);
    if (this.ground) classes.push("sgr-on", `sgr-on-${this.ground}`);
    if (!classes.length) {
      pieces.append(text);
      return;
    }
    const span = document.createElement("span");
    span.className = classes.join(" ");
    span.textContent = text;
    pieces.append(span);
  }

  style(codes) {
    const numbers = codes.split(/[;:]/).map(Number);
    for (let at = 0; at < numbers.length; at++) {
      const code = numbers[at];
      if (code === 0) {
        this.styles.clear();
        this.colour = this.ground = "";
      } else if (STYLES[code]) this.styles.add(STYLES[code]);
      else if (ENDS[code]) ENDS[code].forEach((each) => this.styles.delete(each));
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) this.colour = code % 10;
      else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) this.ground = code % 10;
      else if (code === 39) this.colour = "";
      else if (code === 49) this.ground = "";
      else if (code === 38 || code === 48) {
        const few = numbers[at + 1] === 5 && numbers[at + 2] < 16 ? numbers[at + 2] % 8 : "";
        if (code === 38) this.colour = few;
        else this.ground = few;
        at += numbers[at + 1] === 5 ? 2 : 4;
      }
    }
    this.colour = String(this.colour);
    this.ground = String(this.ground);
  }
}

async function follow(pre, note) {
  const answer = await fetch(pre.dataset.follow);
  if (!answer.ok) return;
  const isLive = document.getElementById("title").dataset.live;
  if (isLive) note.textContent = "live";
  const screen = new Screen(pre);
  const decoder = new TextDecoder();
  const reader = answer.body.getReader();
  let isFirst = true;
  for (;;) {
    const { value, done } = await reader.read();
    if (isFirst) pre.replaceChildren();
    isFirst = false;
    if (done) break;
    screen.write(decoder.decode(value, { stream: true }));
    document.getElementById("silent")?.remove();
  }
  screen.write(decoder.decode());
  note.textContent = "";
  if (isLive) await refresh();
}

const pre = document.getElementById("written");
const note = document.getElementById("follow");
follow(pre, note).catch(() => { note.textContent = "The connection was lost; reload to go on."; });
