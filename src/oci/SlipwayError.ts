/** Where in a source file an error lies. Lines are 1-based, both ends included. */
export interface SourceRange {
  file: string;
  start: number;
  end: number;
  /** The whole text of the file, for the excerpt. */
  text?: string;
}

export interface SlipwayErrorOptions {
  /** What the person can do, one sentence. */
  hint?: string;
  cause?: unknown;
  range?: SourceRange;
  /** Process exit status; 1 where not said. */
  exitCode?: number;
}

/**
 * An error that is the user's to read: `message` names the thing and its place, `code` is stable (`IMAGE_NOT_FOUND`),
 * secrets are left out where it is made. A broken invariant of our own is a plain `Error` instead.
 */
export class SlipwayError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly range: SourceRange | undefined;
  readonly exitCode: number;

  constructor(code: string, message: string, options: SlipwayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SlipwayError";
    this.code = code;
    this.hint = options.hint;
    this.range = options.range;
    this.exitCode = options.exitCode ?? 1;
  }
}

export function isSlipwayError(error: unknown, ...codes: string[]): error is SlipwayError {
  return error instanceof SlipwayError && (codes.length === 0 || codes.includes(error.code));
}
