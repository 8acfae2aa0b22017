// Writes wire.ts from the relay's own schemas, so that the types can't drift: CI generates it anew and compares.
import { readFile, writeFile } from "node:fs/promises";
import { compile } from "json-schema-to-typescript";
import { format } from "prettier";
import { parse } from "yaml";

const source = new URL("../../web/asyncapi.yaml", import.meta.url);
const target = new URL("wire.ts", import.meta.url);

// These names would hide TypeScript's own, or say too little outside of the document.
const renamed = {
  Record: "LogRecord",
  Log: "LogMessage",
  Logs: "LogsMessage",
  Status: "StatusMessage",
  Heartbeat: "HeartbeatMessage",
  Error: "ErrorMessage",
  Pong: "PongMessage",
  HistoryPage: "HistoryMessage",
};

/** Turns "if the message is so, then the data is so" into alternatives, which is what TypeScript can tell apart. */
function alternatives(status) {
  const { properties, allOf, required } = status;
  const data = new Map(properties.message.enum.map((name) => [name, properties.data]));
  for (const rule of allOf) {
    const named = rule.if.properties.message;
    for (const name of named.enum ?? [named.const]) data.set(name, rule.then.properties.data);
  }
  const variant = ([name, schema]) => ({
    type: "object",
    required,
    properties: {
      ...properties,
      message: { const: name },
      data: schema.$ref ? schema : { type: "object", ...schema },
    },
  });
  return { oneOf: [...data].map(variant) };
}

/** Points every reference at its new name, and drops patterns and numbers, which types don't have. */
function adapted(node) {
  if (Array.isArray(node)) return node.map(adapted);
  if (node === null || typeof node !== "object") return node;
  // An object of which nothing is said may have anything in it.
  if (node.type === "object" && !node.properties) node = { ...node, additionalProperties: true };
  if (typeof node.description === "string" && Object.keys(node).length === 1)
    node = { ...node, tsType: "unknown" };
  const kept = Object.entries(node).filter(([name]) => name !== "dependentRequired" && name !== "minItems");
  return Object.fromEntries(
    kept.map(([name, value]) => {
      if (name !== "$ref")
        return [name, name === "description" && typeof value === "string" ? value.trim() : adapted(value)];
      const last = value.split("/").at(-1);
      return [name, `#/definitions/${renamed[last] ?? last}`];
    }),
  );
}

export async function generated() {
  const { schemas } = parse(await readFile(source, "utf8")).components;
  schemas.Status = alternatives(schemas.Status);
  const definitions = Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [renamed[name] ?? name, adapted(schema)]),
  );
  const text = await compile({ title: "Wire", definitions, not: {} }, "Wire", {
    additionalProperties: false,
    unreachableDefinitions: true,
    maxItems: -1,
    bannerComment:
      "// Generated from logrelay/web/asyncapi.yaml by generate.mjs: `npm run generate`. Not to be edited.",
    format: false,
  });
  const own = text
    .replace(
      /\n? \*(?: This interface was referenced by `Wire`'s JSON-Schema\n \* via the `definition` "\w+"\.)\n/g,
      "\n",
    )
    .replace(/\/\*\*\s*\*\/\n/g, "")
    .replace(/(\n *\*)+\s*\n( *)\*\//g, "\n$2*/")
    .replace(/^export (interface Wire \{\n?[^}]*\}|type Wire = [^;]*;?)\n?/m, "");
  return format(own, { parser: "typescript", printWidth: 110 });
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const text = await generated();
  if (process.argv.includes("--check")) {
    if (text !== (await readFile(target, "utf8"))) {
      console.error("client/wire.ts is not what asyncapi.yaml says: npm run generate");
      process.exit(1);
    }
  } else {
    await writeFile(target, text);
  }
}
