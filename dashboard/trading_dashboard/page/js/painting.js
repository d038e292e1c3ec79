// Updates come far more often than a screen can show: they are kept, and painted once a frame, or less often.

/** `paint` is called soon after `ask()`, however often that is called; at most every `pause_ms`, never while hidden. */
export function painter(paint, pause_ms = 0) {
  let asked = 0;
  let timer = 0;
  let painted = 0;
  let ended = false;

  function frame() {
    asked = 0;
    if (ended) return;
    painted = performance.now();
    paint();
  }

  function ask() {
    if (asked || timer || ended) return;
    const wait = painted + pause_ms - performance.now();
    if (wait <= 0) {
      asked = requestAnimationFrame(frame);
      return;
    }
    timer = setTimeout(() => {
      timer = 0;
      asked = requestAnimationFrame(frame);
    }, wait);
  }

  return {
    ask,
    stop() {
      ended = true;
      cancelAnimationFrame(asked);
      clearTimeout(timer);
    },
  };
}
