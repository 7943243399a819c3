"""What a page in a browser is given to tell whether anything on it jumps."""

NOTE_JUMPS = """
window.jumps = 0;
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) window.jumps += each.value;
}).observe({ type: "layout-shift", buffered: true });
window.ticks = [];
window.setInterval = (tick) => window.ticks.push(tick);
"""
"""Before the page: sums up its layout shifts, and keeps what it would do again and again."""

LET_TIME_PASS = """later => {
  Date.now = () => new Date().getTime() + 1000 * later;
  for (const tick of window.ticks) tick();
}"""
"""With seconds: has the page see how late it is so much later."""

TWO_FRAMES = """new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"""
"""Waits until the page is drawn, and what was drawn is known."""
