import type { SourceRange } from "../oci/SlipwayError.ts";

/** A heredoc that an instruction opened (`<<EOF`). */
export interface Heredoc {
  /** The delimiter, and the file name in COPY/ADD. */
  name: string;
  /** As written; tabs at line starts are still there when `chomp`. */
  content: string;
  /** False when the delimiter was quoted. */
  expand: boolean;
  /** `<<-`: leading tabs of each line are to be removed. */
  chomp: boolean;
  fileDescriptor: number;
}

/** What every instruction has. Words are as written: nothing is expanded here. */
export interface InstructionBase {
  range: SourceRange;
  /** The instruction as written, continuation lines joined without anything between, without heredoc bodies: what step names show. */
  original: string;
  /** Comment lines directly above it, without `#`. */
  comments: string[];
}

/** Shell or exec form. `words` has one element in shell form: the whole text. */
export interface CommandLine {
  shell: boolean;
  words: string[];
  /** RUN only: heredocs that are not part of the shell text. */
  files: Heredoc[];
}

export interface KeyValue {
  key: string;
  value: string;
  /** Legacy `ENV k v`. */
  legacy?: boolean;
}

/** Value of one `RUN --mount`, unexpanded. Absent = not said. */
export interface MountFlag {
  /** As written. `parseMount(text, expand)` reads it again with variables replaced, which a variable in `type`, `sharing` or a truth value needs. */
  text?: string;
  type: "bind" | "cache" | "tmpfs" | "secret" | "ssh";
  from?: string;
  source?: string;
  target?: string;
  readOnly?: boolean;
  id?: string;
  sharing?: "shared" | "private" | "locked";
  required?: boolean;
  env?: string;
  /** Bytes, as written ("1g"). */
  size?: string;
  mode?: string;
  uid?: string;
  gid?: string;
}

export interface CopySource {
  /** Paths and URLs as written, in order. */
  paths: string[];
  /** Inline files; they come after `paths`. */
  heredocs: Heredoc[];
}

export type Instruction =
  | (InstructionBase & { kind: "from"; image: string; platform?: string; as?: string })
  | (InstructionBase & { kind: "arg"; args: { key: string; value?: string }[] })
  | (InstructionBase & { kind: "env"; pairs: KeyValue[] })
  | (InstructionBase & { kind: "label"; pairs: KeyValue[] })
  | (InstructionBase & {
      kind: "run";
      command: CommandLine;
      mounts: MountFlag[];
      network?: string;
      security?: string;
      device: string[];
    })
  | (InstructionBase & {
      kind: "copy" | "add";
      source: CopySource;
      dest: string;
      from?: string;
      chown?: string;
      chmod?: string;
      link: boolean;
      parents: boolean;
      exclude: string[];
      checksum?: string;
      keepGitDir?: boolean;
      unpack?: boolean;
    })
  | (InstructionBase & { kind: "cmd" | "entrypoint"; command: CommandLine })
  | (InstructionBase & { kind: "workdir"; path: string })
  | (InstructionBase & { kind: "user"; user: string })
  | (InstructionBase & { kind: "volume"; paths: string[] })
  | (InstructionBase & { kind: "expose"; ports: string[] })
  | (InstructionBase & { kind: "stopsignal"; signal: string })
  | (InstructionBase & { kind: "shell"; shell: string[] })
  | (InstructionBase & {
      kind: "healthcheck";
      test: string[];
      interval?: number;
      timeout?: number;
      startPeriod?: number;
      startInterval?: number;
      retries?: number;
    })
  | (InstructionBase & { kind: "onbuild"; expression: string })
  | (InstructionBase & { kind: "maintainer"; maintainer: string });

export type InstructionKind = Instruction["kind"];
export type InstructionOf<K extends InstructionKind> = Extract<Instruction, { kind: K }>;

export interface Stage {
  from: InstructionOf<"from">;
  /** Lower-cased name, "" when there is none. */
  name: string;
  instructions: Instruction[];
}

export interface DockerfileWarning {
  rule: string;
  message: string;
  url?: string;
  range: SourceRange;
}

/** A whole Dockerfile, read and typed but not expanded. */
export interface Dockerfile {
  file: string;
  text: string;
  directives: { syntax?: string; escape: "\\" | "`"; check?: string };
  /** ARGs before the first FROM. */
  globalArgs: InstructionOf<"arg">[];
  stages: Stage[];
  warnings: DockerfileWarning[];
}
