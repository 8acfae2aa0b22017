/**
 * Which lines belong to the one before: stack traces that a platform has cut into a record for each line.
 * Decided by shapes alone; what merely looks indented stays a line of its own.
 */

// The frames of Python, Node, Java, Go, Ruby, Rust and .NET, and what stands between them.
const CONTINUES = [
  /^\s+at\s+\S/, // Node, Java, .NET
  /^\s+File ".+", line \d+/, // Python
  /^\s{4,}\S/, // Python's source lines, Go's "\t/path.go:12", indented data
  /^\t+\S/,
  /^Caused by: /,
  /^\s*\.\.\. \d+ (more|common frames)/,
  /^\s+from \S+:\d+:in /, // Ruby
  /^\s+\d+:\s+(0x[0-9a-f]+ - )?\S+/, // Rust
  /^goroutine \d+ \[/,
  /^\s*\^+\s*$/, // carets below a source line
  /^(During handling of the above exception|The above exception was the direct cause)/,
  /^\s*[}\])]+[,;]?\s*$/, // the end of printed data
];
// The sentence that ends a Python traceback stands at the margin again.
const ENDS = /^[A-Za-z_][\w.]*(Error|Exception|Warning|Interrupt|Exit|Timeout)\b(:|$)/;

const LONGEST = 200; // lines of one group; more is no stack trace

/** What is remembered of one source between its lines. */
interface Open {
  head: number;
  lines: number;
  python: boolean;
  time: number;
}

const PATIENCE = 2000; // milliseconds between the lines of one trace

/** Puts lines into groups as they arrive. Lines of several instances may be interleaved. */
export class Traces {
  private readonly open = new Map<number, Open>();

  /** The number of the line that this one continues, or null where it stands alone. */
  place(number: number, source: number, message: string, time: number): number | null {
    const before = this.open.get(source);
    if (before && before.lines < LONGEST && Math.abs(time - before.time) <= PATIENCE) {
      const ends = before.python && ENDS.test(message);
      if (ends || continues(message)) {
        before.lines += 1;
        before.time = time;
        before.python = ends ? false : before.python || /^Traceback/.test(message);
        return before.head;
      }
    }
    const python = /^Traceback \(most recent/.test(message);
    this.open.set(source, { head: number, lines: 1, python, time });
    return null;
  }

  clear(): void {
    this.open.clear();
  }
}

export function continues(message: string): boolean {
  return message.length > 0 && CONTINUES.some((shape) => shape.test(message));
}
