import { SlipwayError } from "../../oci/SlipwayError.ts";

/** Go's text/template, as far as `--format` is used: the tree of one template. */
export type TemplateNode =
  | { kind: "text"; text: string }
  | { kind: "print"; pipe: Pipe }
  | {
      kind: "if" | "with" | "range";
      pipe: Pipe;
      index?: string;
      value?: string;
      body: TemplateNode[];
      otherwise: TemplateNode[];
    }
  | { kind: "assign"; name: string; pipe: Pipe };

/** Commands in a row; each gets the result of the one before as its last argument. */
export type Pipe = Command[];
export type Command = Operand[];
export type Operand =
  | { kind: "field"; path: string[]; variable?: string }
  | { kind: "literal"; value: unknown }
  | { kind: "function"; name: string }
  | { kind: "pipe"; pipe: Pipe; path: string[] };

/** @throws SlipwayError `INVALID_TEMPLATE` */
export function parseTemplate(source: string): TemplateNode[] {
  const pieces = split(source);
  let at = 0;

  function block(closers: string[]): { nodes: TemplateNode[]; closer: string } {
    const nodes: TemplateNode[] = [];
    while (at < pieces.length) {
      const piece = pieces[at++] as Piece;
      if (piece.kind === "text") {
        if (piece.text !== "") nodes.push({ kind: "text", text: piece.text });
        continue;
      }
      const tokens = tokenize(piece.text);
      const [first] = tokens;
      if (first === undefined) continue;
      if (first === "end" || first === "else") {
        if (!closers.includes(first)) throw bad(`unexpected {{${piece.text.trim()}}}`);
        if (first === "else" && tokens.length > 1) {
          // {{else if x}}: an if inside the else, closed by the same end.
          pieces.splice(at, 0, { kind: "action", text: tokens.slice(1).join(" ") }, ...[]);
          return { nodes, closer: "else-if" };
        }
        return { nodes, closer: first };
      }
      nodes.push(
        first === "if" || first === "with" || first === "range" ? control(first, tokens.slice(1)) : statement(tokens),
      );
    }
    if (closers.length > 0) throw bad("{{end}} is missing");
    return { nodes, closer: "" };
  }

  function control(kind: "if" | "with" | "range", tokens: string[]): TemplateNode {
    let rest = tokens;
    const names: { index?: string; value?: string } = {};
    const assign = rest.indexOf(":=");
    if (assign > 0) {
      const variables = rest.slice(0, assign).filter((token) => token !== ",");
      if (kind === "range" && variables.length === 2) names.index = variables[0] as string;
      names.value = variables[variables.length - 1] as string;
      rest = rest.slice(assign + 1);
    }
    const pipe = pipeline(rest);
    const then = block(["else", "end"]);
    let otherwise: TemplateNode[] = [];
    if (then.closer === "else") otherwise = block(["end"]).nodes;
    else if (then.closer === "else-if") {
      const piece = pieces[at++] as Piece;
      otherwise = [control("if", tokenize(piece.text).slice(1))];
    }
    return { kind, pipe, ...names, body: then.nodes, otherwise };
  }

  return block([]).nodes;
}

function bad(why: string): SlipwayError {
  return new SlipwayError("INVALID_TEMPLATE", `template parsing error: ${why}`, {
    hint: "--format takes a Go template such as '{{.ID}}: {{json .}}', or json, or table.",
  });
}

type Piece = { kind: "text" | "action"; text: string };

function split(source: string): Piece[] {
  const pieces: Piece[] = [];
  let rest = source;
  for (;;) {
    const open = rest.indexOf("{{");
    if (open < 0) {
      pieces.push({ kind: "text", text: rest });
      return pieces;
    }
    const close = rest.indexOf("}}", open);
    if (close < 0) throw bad("unclosed action");
    let text = rest.slice(0, open);
    let action = rest.slice(open + 2, close);
    rest = rest.slice(close + 2);
    if (/^-\s/.test(action)) {
      action = action.slice(1);
      text = text.trimEnd();
    }
    if (/\s-$/.test(action)) {
      action = action.slice(0, -1);
      rest = rest.trimStart();
    }
    pieces.push({ kind: "text", text });
    if (!action.trimStart().startsWith("/*")) pieces.push({ kind: "action", text: action });
  }
}

const TOKEN =
  /\s+|"(?:[^"\\]|\\.)*"|`[^`]*`|:=|[()|,=]|\$?[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*|\$(?:\.[A-Za-z_]\w*)*|(?:\.[A-Za-z_]\w*)+|\.|-?\d+(?:\.\d+)?/y;

function tokenize(action: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < action.length) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(action);
    if (match === null) throw bad(`unexpected ${JSON.stringify(action.slice(from, from + 10))}`);
    if (match[0].trim() !== "") tokens.push(match[0]);
  }
  return tokens;
}

function statement(tokens: string[]): TemplateNode {
  const [name, operator] = tokens;
  if (name?.startsWith("$") && (operator === ":=" || operator === "=")) {
    return { kind: "assign", name, pipe: pipeline(tokens.slice(2)) };
  }
  return { kind: "print", pipe: pipeline(tokens) };
}

function pipeline(tokens: string[]): Pipe {
  let at = 0;

  function pipe(nested: boolean): Pipe {
    const commands: Pipe = [];
    let command: Command = [];
    for (;;) {
      const token = tokens[at++];
      if (token === undefined || token === ")") {
        if ((token === ")") !== nested) throw bad(nested ? "unclosed parenthesis" : "unexpected )");
        if (command.length === 0) throw bad("missing value for command");
        commands.push(command);
        return commands;
      }
      if (token === "|") {
        if (command.length === 0) throw bad("missing value for command");
        commands.push(command);
        command = [];
      } else command.push(operand(token));
    }
  }

  function operand(token: string): Operand {
    if (token === "(") {
      const inner = pipe(true);
      const next = tokens[at];
      if (next?.startsWith(".") && next !== ".") {
        at++;
        return { kind: "pipe", pipe: inner, path: next.slice(1).split(".") };
      }
      return { kind: "pipe", pipe: inner, path: [] };
    }
    if (token.startsWith('"')) return { kind: "literal", value: JSON.parse(token) };
    if (token.startsWith("`")) return { kind: "literal", value: token.slice(1, -1) };
    if (/^-?\d/.test(token)) return { kind: "literal", value: Number(token) };
    if (token === "true" || token === "false") return { kind: "literal", value: token === "true" };
    if (token === "nil") return { kind: "literal", value: undefined };
    if (token === ".") return { kind: "field", path: [] };
    if (token.startsWith(".")) return { kind: "field", path: token.slice(1).split(".") };
    if (token.startsWith("$")) {
      const [variable = "$", ...path] = token.split(".");
      return { kind: "field", path, variable };
    }
    if (/^[A-Za-z_]\w*$/.test(token)) return { kind: "function", name: token };
    throw bad(`unexpected ${JSON.stringify(token)}`);
  }

  return pipe(false);
}
