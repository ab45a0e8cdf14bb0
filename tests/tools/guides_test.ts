import { assertEquals, assertThrows } from "@std/assert";
import { findSnippets } from "../../tools/guides.ts";

const FENCE = "```";

Deno.test("findSnippets() finds what is to be checked, and what it prints", () => {
  const markdown = `# Guide

${FENCE}ts
// tasks.ts
export const one = 1;
${FENCE}

${FENCE}sh
deno run x
${FENCE}

${FENCE}ts ignore
x = …
${FENCE}

${FENCE}ts check
throw new Error();
${FENCE}

${FENCE}ts
import { one } from "./tasks.ts";
console.log(one); // 1
  console.log([one, "a"]); // [ 1, "a" ]
const two = 2; // not printed
${FENCE}

1. In a list:

   ${FENCE}ts
   if (two) {
     two;
   }
   ${FENCE}
`;
  const snippets = findSnippets("docs/guide.md", markdown);
  assertEquals(
    snippets.map(({ line, file, runs, output }) => [line, file, runs, output]),
    [
      [3, "tasks.ts", true, []],
      [16, "line_16.ts", false, []],
      [20, "line_20.ts", true, ["1", '[ 1, "a" ]']],
      [29, "line_29.ts", true, []],
    ],
  );
  assertEquals(snippets[1]!.text, "throw new Error();\n");
  assertEquals(snippets[3]!.text, "if (two) {\n  two;\n}\n");
});

Deno.test("findSnippets() refuses what it does not understand", () => {
  assertThrows(
    () => findSnippets("docs/guide.md", `${FENCE}ts norun\n${FENCE}\n`),
    SyntaxError,
    'docs/guide.md:1 Cannot understand "norun"',
  );
});
