// A line of JSON each: what a test says to this process, and what this process tells the test.
import { createInterface } from "node:readline";

export function tell(happened, more) {
  process.stdout.write(`${JSON.stringify({ happened, ...more })}\n`);
}

/** Do something with every line, until there are no more. */
export async function obey(deed) {
  for await (const line of createInterface({ input: process.stdin })) deed(JSON.parse(line));
  process.exit();
}
