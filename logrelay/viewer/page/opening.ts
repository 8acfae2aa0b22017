/** The beginning: who is looking, at which environment, and what to do where that can't be found out. */

import { environments, Refused } from "./api.js";
import type { Address } from "./address.js";
import { button, byId } from "./dom.js";
import type { Environment } from "./model.js";
import { banner } from "./notes.js";
import { picker } from "./picker.js";
import type { SignIn } from "./signin.js";
import { texts } from "./texts.js";

export class Opening {
  private listed: readonly Environment[] = [];

  /** `watch` shows an environment's log; `chosen` is for one that was picked while another was shown. */
  constructor(
    private readonly address: Address,
    private readonly signIn: SignIn,
    private readonly watch: () => void,
    private readonly chosen: (environmentId: string) => void,
  ) {}

  nameOf(environmentId: string | null): string | null {
    return this.listed.find(({ id }) => id === environmentId)?.name ?? null;
  }

  /** Finds out who is looking and at what; a ticket opens one stream and says nothing about environments. */
  begin = async (): Promise<void> => {
    const { address } = this;
    banner(null);
    if (!this.signIn.narrow && !(await this.list())) return;
    if (address.environmentId === null && this.listed.length === 1)
      address.environmentId = this.listed[0]!.id;
    if (address.environmentId === null) this.choose();
    else this.watch();
  };

  /** Whether the relay lets in whoever is looking, perhaps since they have signed in at their app again. */
  async admitted(): Promise<boolean> {
    try {
      this.listed = await environments(this.address.base, {});
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error; // nobody answers: the client tries again
      this.signIn.mode = error.auth;
      return false;
    }
  }

  choose = (): void => {
    const { address, signIn } = this;
    const dialog = picker({
      environments: this.listed,
      current: address.environmentId,
      choose: (id) => id !== address.environmentId && this.chosen(id),
      again: () => void this.begin(),
      other: signIn.known ? () => void this.other() : null,
    });
    // Whoever leaves without a choice finds the way back; there is nothing to wait for meanwhile.
    dialog.oncancel = () => {
      if (address.environmentId !== null) return;
      byId("nothing").hidden = true;
      const { unchosen, choose } = texts.picker;
      banner(unchosen, button(choose, this.choose, { "data-testid": "choose" }));
    };
  };

  /** What else can be done where the environment is refused: another one, or another token. */
  otherWays(refused: boolean): HTMLElement[] {
    if (!refused) return [];
    const { picker: words } = texts;
    const other = button(words.other, () => void this.other(), { "data-testid": "other-token" });
    const choose = button(words.choose, this.choose, { "data-testid": "choose" });
    return [...(this.listed.length ? [choose] : []), ...(this.signIn.known ? [other] : [])];
  }

  /** Signs in as somebody else. */
  private async other(): Promise<void> {
    this.signIn.forget();
    await this.signIn.ask(texts.signin.needsToken);
    await this.begin();
  }

  private async list(): Promise<boolean> {
    const { signIn, address } = this;
    try {
      this.listed = await environments(address.base, signIn.headers());
      return true;
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        const reason = signIn.known ? texts.signin.wrong : texts.signin.needsToken;
        signIn.mode = error.auth;
        signIn.refused();
        await signIn.ask(reason);
        return this.list();
      }
      // With an environment in the address, the stream itself says what is wrong.
      if (address.environmentId !== null && error instanceof Refused && error.status !== 403) return true;
      const message = error instanceof Refused ? error.message : texts.picker.unreachable;
      banner(
        message,
        button(texts.picker.retry, () => void this.begin(), { "data-testid": "retry" }),
      );
      return false;
    }
  }
}
