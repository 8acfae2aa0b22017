// The credential: had when it is needed, kept in memory, renewed before it runs out, forgotten when it is refused.
import { LONGEST } from "./delays.js";
import type { Surroundings } from "./surroundings.js";
import type { Credential, CredentialSource } from "./types.js";

const LEAD = 60; // seconds before the end, or a fifth of the time if that is less

/** How a credential is shown with the next connection. */
export interface Shown {
  readonly token: string | null;
  readonly ticket: string | null;
}

export class Pass {
  #token: string | null = null;
  #cancelRenewal: () => void = () => undefined;
  #round = 0; // a renewal that was asked for in an earlier one is of no use any more

  constructor(
    private readonly surroundings: Surroundings,
    private readonly source: CredentialSource | undefined,
    /** Sends an `auth` message. */
    private readonly show: (token: string) => void,
  ) {}

  get renewable(): boolean {
    return this.source !== undefined;
  }

  /** What to show; null when the source has nothing. Rejects when the source does. */
  async take(): Promise<Shown | null> {
    if (this.#token !== null || this.source === undefined) return { token: this.#token, ticket: null };
    const credential = await this.source();
    return credential && this.#held(credential);
  }

  /** The relay has taken it, for so long, and may have given something to come back with. */
  accepted(expiresInSeconds: number | undefined, reconnectToken: string | undefined): void {
    this.#token = reconnectToken ?? this.#token;
    this.rest();
    if (expiresInSeconds === undefined || this.source === undefined) return;
    const lead = Math.min(LEAD, expiresInSeconds / 5);
    this.#renewIn(expiresInSeconds - lead, lead / 4, this.#round);
  }

  /** The relay doesn't take it, or not any more. */
  refused(): void {
    this.#token = null;
  }

  /** No connection, no renewal. */
  rest(): void {
    this.#round += 1;
    this.#cancelRenewal();
  }

  #held(credential: Credential): Shown {
    this.#token = "token" in credential ? credential.token : null;
    return { token: this.#token, ticket: "ticket" in credential ? credential.ticket : null };
  }

  #renewIn(seconds: number, again: number, round: number): void {
    const wait = seconds * 1000;
    if (wait > LONGEST) return;
    this.#cancelRenewal = this.surroundings.later(() => void this.#renew(again, round), wait);
  }

  async #renew(again: number, round: number): Promise<void> {
    let credential: Credential | null | undefined;
    try {
      credential = await this.source?.();
    } catch {
      // Asked again while there is time; after that the relay says 4401.
      if (round === this.#round) this.#renewIn(Math.max(1, again), again, round);
      return;
    }
    if (round !== this.#round || !credential) return;
    const { token, ticket } = this.#held(credential);
    const shown = token ?? ticket;
    if (shown !== null) this.show(shown); // a cookie can't be shown in a message: the relay asks for it by itself
  }
}
