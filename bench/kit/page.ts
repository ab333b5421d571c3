/** Tables that a command prints and a page keeps: between two marks that name the command. A test compares the two. */
import { readFile, writeFile } from "node:fs/promises";

const END = "<!-- end -->";

/** Puts the text between the page's marks for the command. */
export async function writeIntoPage(page: URL, command: string, text: string): Promise<void> {
  const begin = `<!-- ${command} -->`;
  const old = await readFile(page, "utf8");
  const [start, end] = [old.indexOf(begin), old.indexOf(END)];
  if (start < 0 || end < start)
    throw new Error(`${page.pathname} has lost its marks for ${command}`);
  await writeFile(page, `${old.slice(0, start)}${begin}\n\n${text}\n\n${old.slice(end)}`);
}
