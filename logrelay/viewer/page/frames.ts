/** A frame for all that asks for one. Where a flood makes each show wholly other lines, every second is left out. */

export class Frames {
  private asked = false;
  private skipped = false; // the one before was left out

  constructor(
    private readonly flooded: () => boolean,
    private readonly draw: () => void,
  ) {}

  ask(): void {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.skipped = !this.skipped && this.flooded();
      if (this.skipped) this.ask();
      else this.draw();
    });
  }
}
