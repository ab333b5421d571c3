/** What the environment says about the server to start, checked. It never reads or writes a file. */
import { isIP } from "node:net";
import { resolve } from "node:path";
import { wrongOrigins } from "../platform/cross-origin.ts";
import { wrongTargets } from "../platform/target.ts";
import { StartRefused } from "./refusal.ts";

const ROOT_KEY_LENGTH_MIN = 16;
const PORT_DEFAULT = 8787;
const PORT_MAX = 65_535;

/** Variables of the environment that the Worker gets as they are, when they are set. */
const PASSED_ON = [
  "HALFMQ_ALLOWED_ORIGINS",
  "HALFMQ_ALLOWED_TARGETS",
  "HALFMQ_AUTO_CREATE",
  "HALFMQ_QUEUE_BYTES",
];

export interface Settings {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** An absolute path. */
  readonly dataFolder: string;
  /** Absent: the key in the data folder, made at the first start. */
  readonly rootKey?: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The settings, or a StartRefused that names the variable that is wrong. */
export function settingsFrom(environment: NodeJS.ProcessEnv): Settings {
  const rootKey = environment["HALFMQ_ROOT_KEY"];
  if (rootKey !== undefined) checkRootKey(rootKey, "HALFMQ_ROOT_KEY");
  checkAutoCreate(environment["HALFMQ_AUTO_CREATE"]);
  checkAllowedTargets(environment["HALFMQ_ALLOWED_TARGETS"]);
  checkAllowedOrigins(environment["HALFMQ_ALLOWED_ORIGINS"]);
  checkQueueBytes(environment["HALFMQ_QUEUE_BYTES"]);
  return {
    host: hostFrom(environment["HALFMQ_HOST"] ?? "127.0.0.1"),
    port: portFrom(environment["PORT"] ?? String(PORT_DEFAULT)),
    dataFolder: dataFolderFrom(environment["HALFMQ_DATA"] ?? ".halfmq"),
    ...(rootKey === undefined ? {} : { rootKey }),
    env: passedOn(environment),
  };
}

/** Refuses a key that is too easily guessed, or that cannot travel in a header. */
export function checkRootKey(key: string, whence: string): void {
  if (key.length < ROOT_KEY_LENGTH_MIN) {
    throw new StartRefused(
      `${whence} must hold at least ${ROOT_KEY_LENGTH_MIN} characters, but holds ${key.length}`,
    );
  }
  if (!/^[\x21-\x7e]+$/u.test(key)) {
    throw new StartRefused(`${whence} must hold only visible ASCII characters, no spaces`);
  }
}

/** Whether nobody outside of this machine can reach that address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

function portFrom(text: string): number {
  const port = Number(text);
  if (!/^\d+$/u.test(text) || port > PORT_MAX) {
    throw new StartRefused(`PORT must be a number from 0 to ${PORT_MAX}, but is "${text}"`);
  }
  return port;
}

function hostFrom(text: string): string {
  if (text !== "localhost" && isIP(text) === 0) {
    throw new StartRefused(`HALFMQ_HOST must be an IP address or localhost, but is "${text}"`);
  }
  return text;
}

function dataFolderFrom(text: string): string {
  if (text === "") throw new StartRefused("HALFMQ_DATA must name a folder, but is empty");
  return resolve(text);
}

function checkAutoCreate(text: string | undefined): void {
  if (text !== undefined && text !== "on" && text !== "off") {
    throw new StartRefused(`HALFMQ_AUTO_CREATE must be "on" or "off", but is "${text}"`);
  }
}

function checkAllowedTargets(text: string | undefined): void {
  const [wrong] = wrongTargets(text);
  if (wrong === undefined) return;
  throw new StartRefused(
    `HALFMQ_ALLOWED_TARGETS must list host names or addresses without scheme, port or path, but holds "${wrong}"`,
  );
}

function checkAllowedOrigins(text: string | undefined): void {
  const [wrong] = wrongOrigins(text);
  if (wrong === undefined) return;
  throw new StartRefused(
    `HALFMQ_ALLOWED_ORIGINS must list origins such as https://app.example.com, but holds "${wrong}"`,
  );
}

function checkQueueBytes(text: string | undefined): void {
  if (text !== undefined && !/^[1-9]\d{0,14}$/u.test(text)) {
    throw new StartRefused(`HALFMQ_QUEUE_BYTES must be a number of bytes, but is "${text}"`);
  }
}

function passedOn(environment: NodeJS.ProcessEnv): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = environment[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
