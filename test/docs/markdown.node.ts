/** Reads the project's Markdown files: their fenced blocks and links. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export function read(file: string): string {
  return readFileSync(ROOT + file, "utf8");
}

/** Tracked and new Markdown files, from the project's root. */
export function documents(): string[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"];
  return execFileSync("git", args, { cwd: ROOT, encoding: "utf8" })
    .split("\n")
    .filter((file) => file !== "");
}

/** The contents of the fenced blocks of a language, in order. */
export function blocks(markdown: string, language: string): string[] {
  const pattern = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gmsu");
  return [...markdown.matchAll(pattern)].map(([, block = ""]) => block);
}

/** The targets of links and images, outside of fenced blocks. */
export function links(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```.*?^```$/gmsu, "").replaceAll(/`[^`\n]*`/gu, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/gu)].map(([, target = ""]) => target);
}
