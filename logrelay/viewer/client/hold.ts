// Whether the relay should wait with records: because the user says so, or because too many wait here.
import type { Surroundings } from "./surroundings.js";

const CALM = 250; // milliseconds between two changes of mind, for the relay counts messages

export class Hold {
  /** The user's own wish. */
  asked = false;
  #pressed = false;
  #told = false;
  #open = false;
  #toldAt = -Infinity;
  #cancel: (() => void) | null = null;

  constructor(
    private readonly surroundings: Surroundings,
    private readonly send: (message: { type: "pause" | "resume" }) => void,
  ) {}

  ask(on: boolean): void {
    this.asked = on;
    this.#tell();
  }

  press(on: boolean): void {
    this.#pressed = on;
    this.#tell();
  }

  /** A new connection begins unheld. */
  opened(): void {
    this.#open = true;
    this.#told = false;
    this.#toldAt = -Infinity;
    this.#tell();
  }

  ended(): void {
    this.#open = false;
    this.#cancel?.();
    this.#cancel = null;
  }

  #tell(): void {
    const wanted = this.asked || this.#pressed;
    if (!this.#open || wanted === this.#told || this.#cancel !== null) return;
    const wait = this.#toldAt + CALM - this.surroundings.now();
    if (wait > 0) {
      this.#cancel = this.surroundings.later(() => {
        this.#cancel = null;
        this.#tell();
      }, wait);
      return;
    }
    this.#told = wanted;
    this.#toldAt = this.surroundings.now();
    this.send({ type: wanted ? "pause" : "resume" });
  }
}
