/**
 * Reads vitest's JSON report and prints `<passed> <failed>` for .ci/run. It never calls a run good that vitest calls bad, nor
 * one that skipped a test or found none.
 */
import { readFileSync } from "node:fs";

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
}

const [file = "", status = "1"] = process.argv.slice(2);
const [passed, failed] = counted(read(file));
const bad = failed === 0 && (status !== "0" || passed === 0) ? 1 : failed;
console.log(`${passed} ${bad}`);

function counted(report: Report | undefined): [passed: number, failed: number] {
  if (report === undefined) return [0, 1];
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = report;
  return [numPassedTests, numFailedTests + numPendingTests + numTodoTests];
}

function read(path: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Report;
  } catch {
    return undefined;
  }
}
