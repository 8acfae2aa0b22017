/**
 * Who is looking. A token that is typed in stays in memory, unless its owner ticks "remember"; a ticket or a share
 * link's secret comes in the address's fragment, which no server sees, and is taken out of the address at once.
 */

import type { Credential } from "../client/index.js";
import { button, byId, el, say } from "./dom.js";
import { texts } from "./texts.js";

const KEY = "logrelay.token";
const LETTERS = /^[\x21-\x7e]+$/; // of which tokens are made; a header can't even carry others

export class SignIn {
  private token: string | null = stored();
  private ticket: string | null = null;
  private share: string | null = null;
  /** How the relay tells callers apart, as far as it has said so. */
  mode = "";
  private readonly linked: boolean; // came by a link that has a ticket or a secret in it
  private refusedBefore = false;
  private asking: Promise<string | null> | null = null;

  /** `learn` finds out how the relay tells callers apart; whether it lets this one in after all. */
  constructor(
    private readonly base: string,
    private readonly learn: () => Promise<boolean>,
  ) {
    const fragment = new URLSearchParams(location.hash.slice(1));
    this.ticket = fragment.get("ticket") || null;
    this.share = fragment.get("share") || null;
    this.linked = this.narrow;
    if (this.linked) history.replaceState(history.state, "", location.pathname + location.search);
    // Another link that is pasted into this tab changes the fragment only, which loads no page by itself.
    addEventListener("hashchange", () => /^#(ticket|share)=./.test(location.hash) && location.reload());
  }

  /** Whether the credential opens one environment's stream only. */
  get narrow(): boolean {
    return this.ticket !== null || this.share !== null;
  }

  get remembered(): boolean {
    return stored() !== null;
  }

  get known(): boolean {
    return this.token !== null;
  }

  headers(): Record<string, string> {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }

  forget(): void {
    this.token = null;
    keep(null);
  }

  /** The relay has refused what was shown. */
  refused(): void {
    this.refusedBefore = true;
    if (this.token !== null && this.token === stored()) keep(null); // of no use any more
    this.token = null;
  }

  /** For the client: what to show at the next connection, asking the reader where nothing else helps. */
  source = async (): Promise<Credential | null> => {
    if (this.ticket) {
      const ticket = this.ticket;
      this.ticket = null;
      return { ticket };
    }
    if (this.share) {
      const ticket = await this.exchange(this.share);
      if (ticket) return { ticket };
      this.share = null;
      if (!this.mode) await this.learn(); // whether there is another way in than a link
      if (!(await this.ask(texts.signin.link))) return null;
    }
    const reason = this.linked ? texts.signin.link : texts.signin.expired;
    if (this.refusedBefore && !this.token && !(await this.learn())) await this.ask(reason);
    return this.token ? { token: this.token } : { cookie: true };
  };

  /** Asks the reader for a token. Gives null where the reader wants to try without one. */
  ask(reason: string): Promise<string | null> {
    this.asking ??= this.prompt(reason).finally(() => (this.asking = null));
    return this.asking;
  }

  private async exchange(secret: string): Promise<string | null> {
    const response = await fetch(`${this.base}/api/tickets`, {
      method: "POST",
      headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
      body: "{}",
      credentials: "omit",
    });
    if (response.status >= 500 || response.status === 429) throw new Error("the relay does not answer");
    const body = (await response.json()) as { ticket?: unknown };
    return response.ok && typeof body.ticket === "string" ? body.ticket : null;
  }

  private prompt(reason: string): Promise<string | null> {
    const dialog = byId("signin") as HTMLDialogElement;
    return new Promise((resolve) => {
      const done = (token: string | null): void => {
        this.refusedBefore = false;
        this.token = token;
        dialog.onclose = null;
        dialog.close();
        resolve(token);
      };
      dialog.oncancel = (event): void => event.preventDefault();
      // A browser lets nobody be kept in a dialog: a second Escape closes it all the same.
      dialog.onclose = (): void => dialog.showModal();
      dialog.replaceChildren(this.elsewhere ? notice(this.elsewhere, done) : form(reason, done));
      if (!dialog.open) dialog.showModal();
      dialog.querySelector<HTMLElement>("input, button")?.focus();
    });
  }

  /** What to do where a token can't be typed in: the main API's own sign-in, or a link from it. */
  private get elsewhere(): string | null {
    if (this.mode === "forward") return texts.signin.atApp;
    if (this.mode === "ticket" && this.linked) return texts.signin.link;
    return this.mode === "ticket" ? texts.signin.needsLink : null;
  }
}

type Done = (token: string | null) => void;

function heading(reason: string): HTMLElement[] {
  const said = el("p", { class: "reason", role: "status", "data-testid": "signin-reason" }, reason);
  return [el("h2", { id: "signin-title" }, texts.signin.title), said];
}

function again(done: Done): HTMLElement {
  return button(texts.signin.atAppButton, () => done(null), { "data-testid": "signin-retry" });
}

function notice(sentence: string, done: Done): HTMLElement {
  return el("div", { class: "stack" }, ...heading(sentence), el("div", { class: "buttons" }, again(done)));
}

function form(reason: string, done: Done): HTMLElement {
  const { signin } = texts;
  // A field of type password keeps a token off the screen.
  const field = el("input", {
    id: "token",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "data-testid": "signin-token",
  });
  const remember = el("input", { type: "checkbox", "data-testid": "signin-remember" });
  const submit = el(
    "button",
    { type: "submit", class: "primary", "data-testid": "signin-submit" },
    signin.submit,
  );
  const made = el(
    "form",
    { class: "stack" },
    ...heading(reason),
    el("label", { for: "token" }, signin.token),
    field,
    el("p", { class: "hint" }, signin.tokenHint),
    el("label", { class: "check" }, remember, signin.remember),
    el("div", { class: "buttons" }, again(done), submit),
  );
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    const token = field.value.trim();
    if (!LETTERS.test(token)) return say(made.querySelector(".reason")!, signin.wrong);
    if (remember.checked) keep(token);
    done(token);
  });
  return made;
}

function stored(): string | null {
  try {
    const token = localStorage.getItem(KEY);
    return token !== null && LETTERS.test(token) ? token : null;
  } catch {
    return null;
  }
}

function keep(token: string | null): void {
  try {
    if (token === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, token);
  } catch {
    // What can't be remembered is asked for again.
  }
}
