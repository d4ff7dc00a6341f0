/**
 * Writes the table of verbs and options into the README, from the definitions that the help comes
 * from: `node packages/cli/write-readme.mjs`. A test compares the two.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { GLOBAL_OPTIONS } from "./src/global-options.ts";
import { readmeTable } from "./src/readme-table.ts";
import { VERBS } from "./src/verbs.ts";

const file = new URL("../../README.md", import.meta.url);
const readme = readFileSync(file, "utf8");
const section = /(<!-- verbs -->)[\s\S]*(<!-- \/verbs -->)/;
writeFileSync(file, readme.replace(section, `$1\n${readmeTable(VERBS, GLOBAL_OPTIONS)}\n$2`));
