import { SlipwayError } from "../oci/SlipwayError.ts";
import { isSpace } from "./space.ts";
import { checkLength, replacePattern, trimPrefix, trimSuffix } from "./wordPattern.ts";

export type WordEnv = ReadonlyMap<string, string>;

export interface WordOptions {
  /** The escape directive's character; `\` where not said. */
  escape?: "\\" | "`";
  /** Quotes stay in the result. */
  rawQuotes?: boolean;
  /** Escape characters stay in the result. */
  rawEscapes?: boolean;
  /** Quotes are characters like others (heredoc bodies). */
  skipQuotes?: boolean;
  /** Variables that are not set stay as written. */
  skipUnset?: boolean;
}

export interface WordResult {
  text: string;
  /** `text` parted at unquoted blanks, those that a variable brought in included. */
  words: string[];
  /** Names of variables used that were set, and that were not. */
  matched: Set<string>;
  unmatched: Set<string>;
}

/**
 * Expands one word of an instruction as BuildKit's shell lexer does: `$v`, `${v}`, `${v:-w}` and its kin, quotes and escapes taken away.
 * Time is linear in the word and in what the variables bring in.
 * @throws SlipwayError `INVALID_WORD`
 */
export function processWord(word: string, env: WordEnv, options: WordOptions = {}): WordResult {
  const lexer = new Lexer(word, env, options);
  const words = new WordList();
  const text = lexer.run(undefined, words);
  return { text, words: words.finish(), matched: lexer.matched, unmatched: lexer.unmatched };
}

/** @throws SlipwayError `INVALID_WORD` */
export function expandWord(word: string, env: WordEnv, options: WordOptions = {}): string {
  return new Lexer(word, env, options).run(undefined, undefined);
}

/** Like `expandWord`, then parted at unquoted blanks. @throws SlipwayError `INVALID_WORD` */
export function expandWords(word: string, env: WordEnv, options: WordOptions = {}): string[] {
  const words = new WordList();
  new Lexer(word, env, options).run(undefined, words);
  return words.finish();
}

// Braces within braces; far more than anybody writes, far less than the stack holds.
const MAX_DEPTH = 500;

class WordList {
  #words: string[] = [];
  #word = "";
  #inWord = false;

  /** Unquoted text: blanks end a word. */
  add(text: string): void {
    let from = 0;
    for (let at = 0; at < text.length; at++) {
      if (!isSpace(text.charCodeAt(at))) continue;
      if (at > from) this.addRaw(text.slice(from, at));
      from = at + 1;
      if (this.#inWord) this.#end();
    }
    if (from < text.length) this.addRaw(text.slice(from));
  }

  /** Quoted or escaped text. */
  addRaw(text: string): void {
    this.#word += text;
    this.#inWord = true;
  }

  finish(): string[] {
    this.#end();
    return this.#words;
  }

  #end(): void {
    if (this.#word === "") return;
    this.#words.push(this.#word);
    this.#word = "";
    this.#inWord = false;
  }
}

class Lexer {
  readonly matched = new Set<string>();
  readonly unmatched = new Set<string>();
  readonly #source: string;
  readonly #env: WordEnv;
  readonly #options: WordOptions;
  readonly #escape: string;
  #at = 0;
  #depth = 0;
  #brought = 0;

  constructor(source: string, env: WordEnv, options: WordOptions) {
    this.#source = source;
    this.#env = env;
    this.#options = options;
    this.#escape = options.escape ?? "\\";
  }

  /** Reads up to `stop`, which is eaten, or to the end. */
  run(stop: string | undefined, words: WordList | undefined, rawEscapes = this.#options.rawEscapes ?? false): string {
    const source = this.#source;
    const quotes = this.#options.skipQuotes !== true;
    let result = "";
    let from = this.#at;
    const flush = (): void => {
      if (this.#at === from) return;
      const plain = source.slice(from, this.#at);
      result += plain;
      words?.add(plain);
    };
    while (this.#at < source.length) {
      const character = source[this.#at] as string;
      if (character === stop) {
        flush();
        this.#at++;
        return result;
      }
      if (character === "$") {
        flush();
        const value = this.#dollar();
        result += value;
        words?.add(value);
        from = this.#at;
      } else if (quotes && (character === "'" || character === '"')) {
        flush();
        const value = character === "'" ? this.#singleQuoted() : this.#doubleQuoted(rawEscapes);
        result += value;
        words?.addRaw(value);
        from = this.#at;
      } else if (character === this.#escape) {
        flush();
        const escaped = source.slice(this.#at + 1, this.#at + 2);
        const value = rawEscapes ? character + escaped : escaped;
        if (value !== "") words?.addRaw(value);
        result += value;
        this.#at += 2;
        from = Math.min(this.#at, source.length);
      } else this.#at++;
    }
    this.#at = source.length;
    if (stop !== undefined) throw this.#error(stop === "/" ? "syntax error: missing '/' in ${}" : missingBrace);
    flush();
    return result;
  }

  #singleQuoted(): string {
    const end = this.#source.indexOf("'", this.#at + 1);
    if (end < 0) throw this.#error("unexpected end of statement while looking for matching single-quote");
    const from = this.#at;
    this.#at = end + 1;
    return this.#options.rawQuotes ? this.#source.slice(from, end + 1) : this.#source.slice(from + 1, end);
  }

  #doubleQuoted(rawEscapes: boolean): string {
    const source = this.#source;
    const quote = this.#options.rawQuotes ? '"' : "";
    let result = quote;
    let from = ++this.#at;
    while (this.#at < source.length) {
      const character = source[this.#at] as string;
      if (character === '"') {
        result += source.slice(from, this.#at++) + quote;
        return result;
      }
      if (character === "$") {
        result += source.slice(from, this.#at) + this.#dollar();
        from = this.#at;
      } else if (character === this.#escape) {
        const next = source[this.#at + 1];
        // Within double quotes the escape character means itself before anything but these.
        const special = next === '"' || next === "$" || next === this.#escape;
        if (special && !rawEscapes) {
          result += source.slice(from, this.#at);
          from = this.#at + 1;
        }
        this.#at += special ? 2 : 1;
      } else this.#at++;
    }
    throw this.#error("unexpected end of statement while looking for matching double-quote");
  }

  /** The text that stands for a variable. What all of them bring in is bounded, as each may hold the others many times. */
  #dollar(): string {
    const value = this.#substitution();
    this.#brought += value.length;
    this.#named(() => checkLength(this.#brought));
    return value;
  }

  #substitution(): string {
    this.#at++;
    if (this.#source[this.#at] !== "{") {
      const name = this.#name();
      if (name === "") return "$";
      const value = this.#value(name);
      return value === undefined && this.#options.skipUnset ? `$${name}` : (value ?? "");
    }
    this.#at++;
    if (++this.#depth > MAX_DEPTH)
      throw this.#error(`substitutions stand within each other more than ${MAX_DEPTH} deep`);
    const result = this.#braced();
    this.#depth--;
    return result;
  }

  #braced(): string {
    const first = this.#source[this.#at];
    if (first === undefined) throw this.#error(missingBrace);
    if (first === "{" || first === "}" || first === ":") throw this.#error("syntax error: bad substitution");
    const name = this.#name();
    let modifier = this.#next();
    if (modifier === "}") {
      const value = this.#value(name);
      return value === undefined && this.#options.skipUnset ? `\${${name}}` : (value ?? "");
    }
    if (modifier === "/") return this.#replace(name);
    const colon = modifier === ":";
    if (colon) modifier = this.#next();
    const written = (colon ? ":" : "") + modifier;
    const trims = modifier === "#" || modifier === "%";
    if (!"-+?#%".includes(modifier) || (trims && colon))
      throw this.#error(`unsupported modifier (${written}) in substitution`);

    const word = this.run("}", undefined, trims);
    const value = this.#value(name);
    if (value === undefined && this.#options.skipUnset) return `\${${name}${written}${word}}`;
    const missing = value === undefined || (colon && value === "");
    switch (modifier) {
      case "-":
        return missing ? word : (value ?? "");
      case "+":
        return missing ? "" : word;
      case "?":
        if (!missing) return value ?? "";
        throw this.#error(`${name}: ${word || `is not allowed to be ${value === undefined ? "unset" : "empty"}`}`);
      default: {
        const longest = word[0] === modifier;
        const trim = modifier === "#" ? trimPrefix : trimSuffix;
        return this.#named(() => trim(value ?? "", longest ? word.slice(1) : word, longest));
      }
    }
  }

  /** `${v/p/r}` and `${v//p/r}` from behind the first slash. */
  #replace(name: string): string {
    const all = this.#source[this.#at] === "/";
    if (all) this.#at++;
    const pattern = this.run("/", undefined, true);
    const replacement = this.run("}", undefined, true);
    const value = this.#value(name);
    if (value === undefined && this.#options.skipUnset)
      return `\${${name}${all ? "//" : "/"}${pattern}/${replacement}}`;
    return this.#named(() => replacePattern(value ?? "", pattern, replacement, all));
  }

  /** A name, a number, or one of the shell's special parameters; "" where there is none. */
  #name(): string {
    const source = this.#source;
    const from = this.#at;
    const first = source[from];
    if (first === undefined) return "";
    if (specialParameters.includes(first)) {
      this.#at++;
      return first;
    }
    const pattern = /^\p{Nd}$/u.test(first) ? digits : letters;
    pattern.lastIndex = from;
    const name = pattern.exec(source)?.[0] ?? "";
    this.#at += name.length;
    return name;
  }

  #value(name: string): string | undefined {
    const value = this.#env.get(name);
    (value === undefined ? this.unmatched : this.matched).add(name);
    return value;
  }

  #next(): string {
    const character = this.#source[this.#at++];
    if (character === undefined) throw this.#error(missingBrace);
    return character;
  }

  /** Pattern errors, which know nothing of the word. */
  #named<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof SlipwayError) throw this.#error(error.message);
      throw error;
    }
  }

  #error(reason: string): SlipwayError {
    return new SlipwayError("INVALID_WORD", `failed to process ${JSON.stringify(this.#source)}: ${reason}`);
  }
}

const missingBrace = "syntax error: missing '}'";
const specialParameters = "@*#?-$!";
const digits = /\p{Nd}*/uy;
const letters = /[\p{L}\p{Nd}_]*/uy;
