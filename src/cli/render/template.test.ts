import { expect, test } from "bun:test";
import { compileTemplate } from "./template.ts";

const data = {
  ID: "abc",
  Size: 12,
  Names: ["one", "two"],
  Config: { Labels: { "a.b": "x", c: "y" }, Env: ["A=1"], Cmd: null },
  On: false,
  Odd: "a\0\u2028\t\\é",
};

const cases: [template: string, expected: string][] = [
  ["{{.ID}}", "abc"],
  ["{{ .ID }}-{{.Size}}", "abc-12"],
  ["{{json .Names}}", '["one","two"]'],
  ["{{.Config.Labels}}", "map[a.b:x c:y]"],
  ['{{index .Config.Labels "a.b"}}', "x"],
  ['{{index .Names 1}}{{index .Config.Labels "none"}}', "two"],
  ["{{range .Names}}<{{.}}>{{end}}", "<one><two>"],
  ["{{range $i, $n := .Names}}{{$i}}={{$n}};{{end}}", "0=one;1=two;"],
  ["{{range $k, $v := .Config.Labels}}{{$k}}:{{$v}} {{end}}", "a.b:x c:y "],
  ["{{if .On}}on{{else}}off{{end}}", "off"],
  ['{{if eq .ID "x"}}x{{else if eq .ID "abc"}}ABC{{else}}none{{end}}!', "ABC!"],
  ["{{with .Config}}{{len .Env}}{{$.ID}}{{end}}", "1abc"],
  ['{{join .Names ","}} {{.ID | upper | printf "%-5s|"}}', "one,two ABC  |"],
  ['{{printf "%.1f %05d %q %x" 1.26 7 "a" 255}}', '1.3 00007 "a" ff'],
  ['{{(index .Names 0) | upper}}{{len (split "a,b" ",")}}', "ONE2"],
  ['{{printf "%q" .Odd}}', '"a\\x00\\u2028\\t\\\\é"'],
  ["{{- .ID -}}  x", "abcx"],
  ["{{.ID}}\\t{{.Size}}\\n", "abc\t12\n"],
  ["{{/* said to nobody */}}{{.Config.Cmd}}", "<no value>"],
  ["{{and .ID .On}} {{or .On .ID}} {{not .On}}", "false abc true"],
  ["{{slice .ID 0 2}}{{println .ID}}", "ababc\n"],
];

for (const [template, expected] of cases) {
  test(`${template} gives what Go gives`, () => {
    expect(compileTemplate(template)(data)).toBe(expected);
  });
}

test("a misspelt field and a broken template are errors that say what is wrong", () => {
  expect(() => compileTemplate("{{.Idd}}")(data)).toThrow("can't evaluate field Idd");
  for (const broken of ["{{.ID", "{{if .ID}}", "{{end}}", "{{nope .}}", "{{.ID)}}", "{{|}}"]) {
    expect(() => compileTemplate(broken)(data)).toThrow(/template/);
  }
});
