/** Attributes as a list. Pure. */

const DEEPEST = 6; // levels that are listed one by one
const MOST = 300; // attributes that are listed

/** Paths and plain values; what lies too deep, or is empty, stays as it is. */
export function flattened(
  value: unknown,
  path = "",
  depth = 0,
  into: [string, unknown][] = [],
): [string, unknown][] {
  const nested = value !== null && typeof value === "object" && Object.keys(value).length > 0;
  if (into.length >= MOST) return into;
  if (!nested || depth > DEEPEST) {
    if (depth > 0) into.push([path, value]);
    return into;
  }
  for (const [name, inner] of Object.entries(value)) {
    const step = Array.isArray(value) ? `[${name}]` : path ? `.${name}` : name;
    flattened(inner, path + step, depth + 1, into);
  }
  return into;
}
