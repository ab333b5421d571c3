/** The tests outside of the Workers runtime run on the Node of this repository. */
import { expect, test } from "vitest";

test("the node project runs on Node 24, whatever the machine has", () => {
  expect(process.versions.node).toMatch(/^24\./u);
});
