/** The command line of the demo. */
import { expect, test } from "vitest";
import { optionsFrom } from "../../demo/options.ts";

test("what is said counts, and the rest is as the README says", () => {
  expect(optionsFrom(["--seed", "7"])).toMatchObject({ orders: 200, seed: 7, killBroker: false });
  expect(optionsFrom(["--orders", "30", "--kill-broker"])).toMatchObject({
    orders: 30,
    killBroker: true,
  });
});

test("what is not known is refused, and what is known is told", () => {
  expect(() => optionsFrom(["--help"])).toThrow(/'--help'.*known are --orders N, --seed N/u);
  expect(() => optionsFrom(["--orders", "many"])).toThrow("--orders must be a whole number");
});
