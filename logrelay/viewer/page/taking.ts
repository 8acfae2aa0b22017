/** What is taken away from the page: copies, links, files. */

import type { Address } from "./address.js";
import { copy } from "./dom.js";
import { lineOf, recordOf } from "./exports.js";
import type { Lines } from "./lines.js";
import { toast } from "./notes.js";
import { downloadPanel } from "./panels.js";
import type { View } from "./query.js";
import type { Entry, Ring } from "./ring.js";
import { texts } from "./texts.js";

export class Taking {
  constructor(
    private readonly ring: Ring,
    private readonly lines: Lines,
    private readonly address: Address,
    private readonly view: () => View,
  ) {}

  async text(text: string, said: string = texts.actions.copied): Promise<void> {
    toast((await copy(text)) ? said : texts.actions.notCopied);
  }

  line = (entry: Entry): void => void this.text(lineOf(entry));

  json = (entry: Entry): void => void this.text(JSON.stringify(recordOf(entry), null, 2));

  /** A link to one line in its surroundings. */
  link = ({ id }: Entry): void => void this.text(this.address.link({ ...this.view(), at: id }));

  viewLink = (): void => void this.text(this.address.link({ ...this.view(), at: "" }));

  selection = (): void => {
    const chosen = this.lines.selection();
    if (chosen.length === 0) return;
    const text = chosen.map((number) => lineOf(this.ring.entry(number))).join("\n");
    const { copied, copiedLines } = texts.actions;
    void this.text(text, chosen.length === 1 ? copied : copiedLines(chosen.length));
  };

  selectionLink = (): void => {
    const { selected } = this.lines;
    if (selected !== null && this.ring.has(selected) && !this.ring.isNotice(selected))
      this.link(this.ring.entry(selected));
  };

  download = (): void => {
    const name = document.title.split(" · ")[0]!.replace(/[^\w.-]+/g, "-");
    const now = new Date().toISOString().slice(0, 19).replace(/:/g, "");
    downloadPanel(this.ring, this.lines.selection(), `${name}-${now}`);
  };
}
