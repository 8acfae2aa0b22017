// Railway's log API as graphql-js and graphql-ws serve it: the reference implementations, on Railway's own schema.
//
//     node server.mjs SCHEMA TOKEN PROJECT_TOKEN ENVIRONMENT_ID
//
// Events go to stdout and commands come from stdin, both as JSON lines; the end of stdin ends the process.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { buildSchema, execute, GraphQLError, parse, validate } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

const KEEP_ALIVE = 2000; // ms between graphql-ws' pings
const [schemaFile, token, projectToken, environmentId] = process.argv.slice(2);
const schema = buildSchema(readFileSync(schemaFile, "utf8"));
const services = ["api", "worker"].map((name) => ({ serviceId: `id-of-${name}`, serviceName: name }));
const start = BigInt(Date.now()) * 1_000_000n; // ns
const deployment = { id: "d", status: "SUCCESS", createdAt: "2026-01-01T00:00:00.000Z" };
const rows = []; // in order of arrival, which is that of their stamps
const streams = new Set(); // subscriptions that are not over
let [forbidding, revoked] = [false, false]; // whether sockets are closed with 4403; whether no token is good

const tell = (event, details) => void process.stdout.write(`${JSON.stringify({ event, ...details })}\n`);

function callerOf(headers, init) {
  const project = headers["project-access-token"];
  if (revoked) return null;
  if (project !== undefined) return project === projectToken ? "project" : null;
  return (headers.authorization ?? init?.Authorization) === `Bearer ${token}` ? "account" : null;
}

function admit(good) {
  if (!good) throw new GraphQLError("Not Authorized", { extensions: { code: "INTERNAL_SERVER_ERROR" } });
}

function write(count) {
  const first = rows.length + 1;
  for (let number = first; number < first + count; number += 1) {
    const ns = start + BigInt(Math.floor((number - 1) / 3)) * 1000n; // three lines share each stamp
    const second = new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19);
    rows.push({
      timestamp: `${second}.${String(ns % 1_000_000_000n).padStart(9, "0")}Z`,
      message: `line ${number}`,
      severity: ["debug", "info", "warn", "error", null][number % 5],
      tags: { serviceId: services[number % 2].serviceId, deploymentId: "d", deploymentInstanceId: "i" },
      attributes: [{ key: "number", value: JSON.stringify(number) }],
    });
  }
  for (const stream of streams) stream.wake();
  tell("written", { oldest: rows[0].timestamp });
}

// A window of the past: an oldest stamp without an anchor finds nothing, and one row more is given than was asked for.
function page({ environmentId: id, beforeDate, anchorDate, beforeLimit }, { caller }) {
  admit(caller && id === environmentId);
  if (beforeDate && !anchorDate) return [];
  const within = ({ timestamp }) => timestamp >= (beforeDate ?? "") && timestamp <= (anchorDate ?? "9999");
  return rows.filter(within).slice(-((beforeLimit ?? 100) + 1));
}

// Backlog, then whatever has come in since the last batch.
function tail({ environmentId: id, beforeDate, beforeLimit }, { caller }) {
  admit(caller && id === environmentId);
  const backlog = rows.filter(({ timestamp }) => timestamp > (beforeDate ?? "")).slice(-(beforeLimit ?? 100));
  let next = rows.length;
  const stream = { over: false, wake: () => {} };
  stream.end = () => {
    stream.over = true;
    stream.wake();
    if (streams.delete(stream)) tell("ended", { streams: streams.size });
  };
  streams.add(stream);
  tell("begun", { streams: streams.size, beforeDate });
  const batches = (async function* () {
    yield { environmentLogs: backlog };
    tell("live"); // what comes after a yield runs when the yielded frame has been sent
    while (!stream.over) {
      if (next === rows.length) await new Promise((woken) => (stream.wake = woken));
      else yield { environmentLogs: rows.slice(next, (next = rows.length)) };
    }
  })();
  const finish = batches.return.bind(batches);
  batches.return = () => (stream.end(), finish()); // a generator that waits doesn't hear of it
  return batches;
}

function environment({ id }, { caller }) {
  admit(caller && id === environmentId);
  const serviceInstances = ({ after }) => {
    const place = after ? Number(after) : 0; // one service a page, so that names take several pages
    const endCursor = String(place + 1);
    const node = { ...services[place], latestDeployment: deployment, activeDeployments: [deployment] };
    return { edges: [{ node }], pageInfo: { hasNextPage: place + 1 < services.length, endCursor } };
  };
  return { id, name: "reference", projectId: "p", serviceInstances };
}

const faultsOf = (text) => validate(schema, parse(text)).map(String);
const roots = {
  query: {
    environment,
    environmentLogs: page,
    apiToken: (_, { caller }) => (admit(caller === "account"), { workspaces: [{ id: "w", name: "workspace" }] }),
    projectToken: (_, { caller }) => (admit(caller === "project"), { projectId: "p", environmentId }),
  },
  subscription: { environmentLogs: tail },
};

const server = createServer(async (request, response) => {
  const body = JSON.parse((await request.setEncoding("utf8").toArray()).join(""));
  const document = parse(body.query);
  const faults = validate(schema, document);
  const asked = { variableValues: body.variables, operationName: body.operationName };
  const contextValue = { caller: callerOf(request.headers) };
  const run = { schema, document, rootValue: roots.query, contextValue, ...asked };
  const answer = faults.length ? { errors: faults } : await execute(run);
  tell("queried", { operation: body.operationName, errors: (answer.errors ?? []).map(String) });
  response.writeHead(faults.length ? 400 : 200, { "Content-Type": "application/json; charset=utf-8" });
  response.end(JSON.stringify(answer));
});
const sockets = new WebSocketServer({ server, path: "/graphql/v2" });
sockets.on("connection", (socket, { headers }) => {
  tell("opened", { protocol: socket.protocol, agent: headers["user-agent"], header: callerOf(headers) });
  const close = socket.close.bind(socket);
  socket.close = (code, reason) => {
    if (socket.readyState === socket.OPEN) tell("closing", { code });
    close(code, reason);
  };
  socket.on("ping", () => tell("ping")).on("pong", () => tell("pong"));
});
const onConnect = ({ connectionParams }) => (tell("init", { caller: callerOf({}, connectionParams) }), !forbidding);
const context = ({ extra, connectionParams }) => ({ caller: callerOf(extra.request.headers, connectionParams) });
const onPong = () => tell("message pong");
useServer({ schema, roots, context, onConnect, onPong }, sockets, KEEP_ALIVE);

const commands = {
  write: ({ count }) => write(count),
  terminate: () => sockets.clients.forEach((socket) => socket.terminate()),
  close: ({ code }) => sockets.clients.forEach((socket) => socket.close(code, "as told")),
  complete: () => [...streams].forEach((stream) => stream.end()),
  ping: () => sockets.clients.forEach((socket) => socket.send('{"type":"ping"}')),
  revoke: () => (revoked = true),
  forbid: () => (forbidding = true),
  validate: ({ documents }) => tell("validated", { errors: documents.map(faultsOf) }),
};
createInterface({ input: process.stdin })
  .on("line", (line) => ((command) => commands[command.do](command))(JSON.parse(line)))
  .on("close", () => process.exit(0));
server.listen(0, "127.0.0.1", () => tell("listening", { port: server.address().port }));
