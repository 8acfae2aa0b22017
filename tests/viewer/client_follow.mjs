// Follows a real relay: options as JSON in the first argument, commands as JSON lines on stdin, events on stdout.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { LogStream } from "../../logrelay/viewer/dist/client/logrelay-client.js";

const { WebSocket } = createRequire(new URL("../../logrelay/viewer/package.json", import.meta.url))("ws");
const { credentials, slow = 0, ...options } = JSON.parse(process.argv[2]); // slow: milliseconds for each batch

function tell(event) {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

class Told extends WebSocket {
  send(text) {
    tell({ event: "sent", type: JSON.parse(text).type });
    super.send(text);
  }
}

const shown = credentials && {
  credential: async () => {
    tell({ event: "credential" });
    return credentials.shift() ?? null;
  },
};
const stream = new LogStream({ ...options, ...shown, surroundings: { WebSocket: Told } });
stream.on("state", ({ phase, close, upstream, filter, attempt }) => {
  const code = close?.code ?? null;
  const tries = upstream?.attempt ?? null;
  tell({ event: "state", phase, code, upstream: upstream?.state ?? null, tries, filter, attempt });
});

async function take() {
  for await (const batch of stream.batches()) {
    const records = batch.filter((entry) => entry.kind === "record").map(({ record }) => record);
    for (const { notice, data } of batch.filter((entry) => entry.kind === "notice")) {
      tell({ event: "notice", notice, data });
    }
    if (slow > 0) await new Promise((resolve) => setTimeout(resolve, slow));
    if (records.length > 0)
      tell({ event: "records", records: records.map(({ id, message }) => ({ id, message })) });
  }
}

const commands = {
  async filter({ filter, replay }) {
    const echoed = await stream.setFilter(filter, { replay });
    tell({ event: "filtered", filter: echoed });
  },
  async history({ wish }) {
    const records = [];
    for await (const page of stream.history(wish)) records.push(...page.records);
    tell({ event: "history", messages: records.map((record) => record.message) });
  },
  pause: () => stream.pause(),
  resume: () => stream.resume(),
  close: () => stream.close(),
};

take().catch((error) => tell({ event: "over", error: error.message }));
const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const { do: name, ...given } = JSON.parse(line);
  try {
    await commands[name](given);
  } catch (error) {
    tell({ event: "failed", do: name, code: error.code ?? null, error: error.message });
  }
});
lines.on("close", () => {
  stream.close();
  process.exitCode = 0;
});
