// The symbols that are offered without being asked for: websocket-streaming's default ones, once they are known.

/** `symbols`: empty until somebody could be asked; the event "change" says that they are others now. */
export class Listed extends EventTarget {
  constructor(symbols) {
    super();
    this.symbols = symbols;
  }

  /** Take what /api/page says now; no symbols are no news, they only mean that nobody could be asked. */
  take(symbols) {
    if (!symbols.length || String(symbols) === String(this.symbols)) return;
    this.symbols = symbols;
    this.dispatchEvent(new Event("change"));
  }
}
