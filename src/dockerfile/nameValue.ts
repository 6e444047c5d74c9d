import type { SourceRange } from "../oci/SlipwayError.ts";
import { splitWords } from "./heredocWords.ts";
import type { KeyValue } from "./instruction.ts";
import { syntaxError } from "./syntaxError.ts";

/** Arguments of ENV and LABEL: `a=1 b="two words"`, or the old `a everything else`. @throws SlipwayError `DOCKERFILE_SYNTAX` */
export function nameValues(instruction: string, text: string, escapeChar: "\\" | "`", range: SourceRange): KeyValue[] {
  const words = splitWords(text, escapeChar);
  const [first] = words;
  if (first === undefined) throw syntaxError(`${instruction} requires at least one argument`, range);
  if (!first.includes("=")) {
    const value = text.slice(first.length).trim();
    if (value === "") throw syntaxError(`${instruction} must have two arguments`, range);
    return [{ key: first, value, legacy: true }];
  }
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals < 0) {
      throw syntaxError(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
        range,
      );
    }
    if (equals === 0) throw syntaxError(`${instruction} names can not be blank`, range);
    return { key: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}
